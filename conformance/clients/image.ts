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
  const [root, archive] = [join(directory, 'image'), join(directory, 'image.tar')]
  const layer = join(root, 'layer.tar')
  makeFiles(join(root, 'files'))
  tar(layer, join(root, 'files'), '.')
  const diffId = `sha256:${createHash('sha256').update(readFileSync(layer)).digest('hex')}`
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: SERVE, Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  writeFileSync(join(root, 'config.json'), JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: [IMAGE], Layers: ['layer.tar'] }]
  writeFileSync(join(root, 'manifest.json'), JSON.stringify(manifest))
  tar(archive, root, 'manifest.json', 'config.json', 'layer.tar')
  return archive
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
