import { test } from 'tap'
import { isAlreadyExists, isNotFound, isNotSupported, NetlinkError, unlessGone } from './error.ts'

const KINDS: readonly (readonly [errno: number, code: string, found: string])[] = [
  [19, 'ENODEV', 'not found'],
  [2, 'ENOENT', 'not found'],
  [3, 'ESRCH', 'not found'],
  [99, 'EADDRNOTAVAIL', 'not found'],
  [17, 'EEXIST', 'exists'],
  [95, 'EOPNOTSUPP', 'not supported'],
  [524, 'ENOTSUPP', 'not supported'],
  [93, 'EPROTONOSUPPORT', 'not supported'],
  [97, 'EAFNOSUPPORT', 'not supported'],
  [1, 'EPERM', ''],
  [22, 'EINVAL', ''],
]

test('errors are told apart by their code', async (t) => {
  for (const [errno, code, kind] of KINDS) {
    const error = new NetlinkError('do it', { errno })
    const kinds = [
      isNotFound(error) && 'not found',
      isAlreadyExists(error) && 'exists',
      isNotSupported(error) && 'not supported',
    ]
    t.equal(error.code, code)
    t.equal(kinds.filter(Boolean).join(), kind, code)
  }
  t.notOk(isNotFound(Object.assign(new Error('other layer'), { code: 'ENODEV' })), 'only of this layer')
})

test('NetlinkError says what, why and where', async (t) => {
  const cause = new Error('cause')
  const error = new NetlinkError('do it', { errno: 22, text: 'Bad size', attribute: 'A.B' }, { cause })
  t.equal(error.message, 'do it: EINVAL: Bad size (A.B)')
  t.equal(error.cause, cause)
})

test('unlessGone lets pass what is gone and throws everything else', async (t) => {
  const gone = new NetlinkError('ip link del dev eth0', { errno: 19 })
  const refused = new NetlinkError('ip link del dev eth0', { errno: 1 })
  await t.resolves(Promise.reject(gone).catch(unlessGone))
  await t.rejects(Promise.reject(refused).catch(unlessGone), refused)
})
