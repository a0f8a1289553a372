import { execFileSync } from 'node:child_process'
import { makeNamespace } from '../testing/netns.ts'
import { kernelContract } from './kernel.contract.ts'
import { LiveKernel } from './kernel.ts'

kernelContract('LiveKernel', (t) => {
  const kernel = new LiveKernel()
  t.teardown(() => kernel.close())
  const a = makeNamespace(t, 'a')
  const name = `pwt-b-${process.pid}-${performance.now().toFixed()}`
  execFileSync('ip', ['netns', 'add', name])
  let isThere = true
  const remove = () => {
    if (isThere) execFileSync('ip', ['netns', 'del', name])
    isThere = false
  }
  t.teardown(remove)
  return {
    kernel,
    a: a.path,
    b: `/var/run/netns/${name}`,
    nothing: '/var/run/netns/pwt-none',
    removeNamespace: remove,
  }
})
