// An image made on the spot, since no registry can be reached: busybox, statically linked, and files to serve.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const IMAGE = 'podwire.test/busybox:1'
/** `/www/large` of a web server in a container. */
export const LARGE_BYTES = 1 << 20

const BUSYBOX = '/bin/busybox'
const APPLETS = ['cat', 'echo', 'httpd', 'ip', 'nc', 'ping', 'sh', 'sleep', 'wget']

/** Serves /www on port 8080, IPv4 and IPv6. It ends when it is told to, which a shell as process 1 would not. */
const SERVE = ['/bin/httpd', '-f', '-p', '8080', '-h', '/www']

export function findImageObstacle(): string | undefined {
  return existsSync(BUSYBOX) ? undefined : `there is no ${BUSYBOX} (Debian: busybox-static)`
}

/** @returns the path of a docker archive */
export function makeImage(directory: string): string {
  const root = join(directory, 'image')
  makeFiles(join(root, 'files'))
  return archive(root, { tag: IMAGE, command: SERVE, path: '/bin' })
}

export interface ImageConfig {
  readonly tag: string
  readonly command: readonly string[]
  /** PATH in its containers. */
  readonly path: string
}

/** @param root  its directory `files` is what is in the image. @returns the path of a docker archive */
export function archive(root: string, { tag, command, path }: ImageConfig): string {
  const [layer, file] = [join(root, 'layer.tar'), `${root}.tar`]
  tar(layer, join(root, 'files'), '.')
  const diffId = `sha256:${createHash('sha256').update(readFileSync(layer)).digest('hex')}`
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: command, Env: [`PATH=${path}`] },
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  writeFileSync(join(root, 'config.json'), JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }]
  writeFileSync(join(root, 'manifest.json'), JSON.stringify(manifest))
  tar(file, root, 'manifest.json', 'config.json', 'layer.tar')
  return file
}

function makeFiles(root: string): void {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'www'])
    mkdirSync(join(root, name), { recursive: true })
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet))
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  writeFileSync(join(root, 'www/index.html'), 'served\n')
  writeFileSync(join(root, 'www/large'), Buffer.alloc(LARGE_BYTES))
}

function tar(archive: string, directory: string, ...names: readonly string[]): void {
  execFileSync('tar', ['-C', directory, '--owner=0', '--group=0', '-cf', archive, ...names])
}
