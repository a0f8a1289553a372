import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { test } from 'tap'
import { callFields } from './log.ts'
import { openLog } from './open-log.ts'

const call = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_IFNAME: 'eth0',
  CNI_NETNS: '/var/run/netns/x',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0',
}
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('log lines carry the attachment, the pod and the trace', async (t) => {
  t.strictSame(callFields({ ...call, TRACEPARENT: TRACE }), {
    command: 'ADD',
    containerId: 'c1',
    ifname: 'eth0',
    netns: '/var/run/netns/x',
    pod: 'default/web-0',
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    parentSpanId: '00f067aa0ba902b7',
  })
  t.notOk('traceId' in callFields({ ...call, TRACEPARENT: 'garbage' }), 'a broken trace is none')
  t.equal(callFields({ CNI_COMMAND: 'GC' })['pod'], undefined)
  for (const podman of ['K8S_POD_NAME=k1', 'K8S_POD_NAMESPACE=;K8S_POD_NAME=k1'])
    t.equal(callFields({ CNI_COMMAND: 'ADD', CNI_ARGS: podman })['pod'], 'k1', podman)
})

test('log is appended to a file that is root’s only', async (t) => {
  const path = `${t.testdir()}/logs/podwire.log`
  const log = await openLog({ ...call, PODWIRE_LOG: path })
  log.info({ durationMs: 12 }, 'attached')
  log.debug({}, 'not at this level')
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 30,
    command: 'ADD',
    containerId: 'c1',
    durationMs: 12,
    msg: 'attached',
  })
  t.equal(statSync(path).mode & 0o777, 0o600)
})

test('log has no level that nobody knows', async (t) => {
  const environment = { ...call, PODWIRE_LOG: 'stderr', PODWIRE_LOG_LEVEL: 'loud' }
  await t.rejects(openLog(environment), { code: 'ELOG', message: /one of error, info, debug, not "loud"/ })
})

test('log says nothing when it was not asked for', async (t) => {
  const log = await openLog(call)
  t.doesNotThrow(() => log.info({}, 'x'))
})

test('log is no reason to wait: a FIFO that nobody reads is an error', async (t) => {
  const path = `${t.testdir()}/fifo`
  execFileSync('mkfifo', [path])
  await t.rejects(openLog({ ...call, PODWIRE_LOG: path }), { code: 'ENXIO' })
})
