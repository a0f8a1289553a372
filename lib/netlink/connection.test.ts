import { type Test, test } from 'tap'
import { ack, datagram, done, refuse, reply, ScriptedKernel, type Turn } from '../testing/scripted-kernel.ts'
import { attributeTable, nested } from './attributes.ts'
import { encode, string, struct, u32 } from './codecs.ts'
import { type Answers, Connection, type ConnectionOptions, type Transport } from './connection.ts'
import {
  type Message,
  NLM_F_CREATE,
  NLM_F_DUMP_INTR,
  NLM_F_EXCL,
  NLM_F_MULTI,
  readMessages,
} from './message.ts'
import { type MessageKind, type Request, request } from './request.ts'

const toymsg = struct('toymsg', [['toy_id', u32]])
const TOY_OPTIONS = attributeTable({ TOY_COLOUR: [1, string] })
const TOY = attributeTable({ TOY_NAME: [1, string], TOY_OPTIONS: [2, nested(() => TOY_OPTIONS)] })
const TOY_NEW: MessageKind<{ toy_id: number }, typeof TOY> = {
  name: 'TOY_NEW',
  type: 100,
  header: toymsg,
  attributes: TOY,
}
const TOY_GET = { ...TOY_NEW, name: 'TOY_GET', type: 101 }

const newToy = (name: string): Request =>
  request(TOY_NEW, {
    flags: NLM_F_CREATE | NLM_F_EXCL,
    attributes: { TOY_NAME: name, TOY_OPTIONS: { TOY_COLOUR: 'red' } },
    operation: `toy add ${name}`,
  })
const getToys = request(TOY_GET, { operation: 'list toys' })

/** Toy number `id`, as the kernel sends it. */
const toy = (to: Message, id: number, flags = 0) => reply(to, 100, encode(u32, id), flags)
const ids = (messages: readonly Message[]) => messages.map(({ payload }) => toymsg.read(payload).toy_id)
const one = (requests: readonly Message[]): Message => requests[0] as Message
const socketError = (errno: number) => Object.assign(new Error('recvmsg failed'), { errno })

function connect(t: Test, turns: Turn[], options: ConnectionOptions = {}) {
  const kernel = new ScriptedKernel(...turns)
  const connection = new Connection(kernel, options)
  t.teardown(() => connection.close())
  return { kernel, connection }
}

test('Connection.request returns what came before the acknowledgement', async (t) => {
  const { kernel, connection } = connect(t, [
    (r) => [datagram(toy(one(r), 7)), datagram(ack(one(r)))],
    (r) => [datagram(ack(one(r)))],
  ])
  t.same(ids(await connection.request(getToys)), [7])
  t.same(await connection.request(newToy('bear')), [])
  t.same(
    kernel.heard.map((requests) => requests.map(({ type, flags, seq }) => [type, flags.toString(16), seq])),
    [[[101, '5', 1]], [[100, '605', 2]]],
    'type, flags with REQUEST and ACK, sequence number',
  )
})

test('Connection.get takes the one reply, and asks for no acknowledgement', async (t) => {
  const { kernel, connection } = connect(t, [
    (r) => [datagram(toy(one(r), 7))],
    (r) => [datagram(refuse(one(r), 19))],
    (r) => [datagram(toy(one(r), 8))],
  ])
  t.same(ids([await connection.get(getToys)]), [7])
  await t.rejects(connection.get(getToys), { code: 'ENODEV' })
  t.same(ids([await connection.get(getToys)]), [8])
  t.same(
    kernel.heard.map((requests) => requests.map(({ type, flags }) => [type, flags.toString(16)])),
    [[[101, '1']], [[101, '1']], [[101, '1']]],
  )
})

test('Connection numbers its requests anew after the largest sequence number', async (t) => {
  const answer: Turn = (requests) => requests.map((request) => datagram(ack(request)))
  const { kernel, connection } = connect(t, [answer, answer, answer], { lastSeq: 0xffff_fffc })
  await connection.batch([newToy('bear'), newToy('doll')])
  await connection.batch([newToy('kite'), newToy('ball')]) // one number is left
  await connection.request(getToys)
  t.same(
    kernel.heard.map((requests) => requests.map(({ seq }) => seq)),
    [[0xffff_fffd, 0xffff_fffe], [1, 2], [3]],
  )
})

const REFUSALS: readonly (readonly [name: string, turn: Turn, message: string])[] = [
  ['without words', (r) => [datagram(refuse(one(r), 17))], 'toy add bear: EEXIST: file already exists'],
  [
    'in the kernel’s words',
    (r) => [datagram(refuse(one(r), 22, { text: 'Toy is broken' }))],
    'toy add bear: EINVAL: Toy is broken',
  ],
  [
    'about an attribute',
    (r) => [datagram(refuse(one(r), 34, { text: 'Too long', offset: 16 + 4 }))],
    'toy add bear: ERANGE: Too long (TOY_NAME)',
  ],
  [
    'about an attribute inside',
    (r) => [datagram(refuse(one(r), 22, { offset: 16 + 4 + 12 + 4 }))],
    'toy add bear: EINVAL: invalid argument (TOY_OPTIONS.TOY_COLOUR)',
  ],
  [
    'about nothing that is there',
    (r) => [datagram(refuse(one(r), 22, { offset: 4000 }))],
    'toy add bear: EINVAL: invalid argument',
  ],
  [
    'with the request repeated in full',
    (r) => [datagram(refuse(one(r), 22, { text: 'Toy is broken', offset: 16 + 4, uncapped: true }))],
    'toy add bear: EINVAL: Toy is broken (TOY_NAME)',
  ],
  [
    'with an errno of the kernel only',
    (r) => [datagram(refuse(one(r), 524))],
    'toy add bear: ENOTSUPP: operation is not supported',
  ],
  [
    'with an errno that libuv names otherwise',
    (r) => [datagram(refuse(one(r), 95))],
    'toy add bear: EOPNOTSUPP: operation not supported',
  ],
  [
    'with an errno that libuv does not know',
    (r) => [datagram(refuse(one(r), 74))],
    'toy add bear: EBADMSG: error 74',
  ],
  ['with an errno of no name', (r) => [datagram(refuse(one(r), 4000))], 'toy add bear: E4000: error 4000'],
  ['by the socket', () => [socketError(105)], 'toy add bear: ENOBUFS: no buffer space available'],
  [
    'by a socket that knows no errno',
    () => [new Error('broken')],
    'toy add bear: ENOTCONN: socket is not connected',
  ],
  [
    'in a message that cannot be read',
    () => [Uint8Array.of(1, 2, 3)],
    'toy add bear: EPROTO: protocol error',
  ],
  [
    'with attributes that cannot be read',
    (r) => [
      datagram({
        ...refuse(one(r), 22, { text: 'x', uncapped: true }),
        payload: Uint8Array.of(0xea, 255, 255, 255),
      }),
    ],
    'toy add bear: EPROTO: protocol error',
  ],
  [
    'while sending',
    () => {
      throw socketError(90)
    },
    'toy add bear: EMSGSIZE: message too long',
  ],
]

test('Connection.request throws what the kernel answers when it refuses', async (t) => {
  for (const [name, turn, message] of REFUSALS) {
    const { connection } = connect(t, [turn])
    await t.rejects(connection.request(newToy('bear')), { name: 'NetlinkError', message }, name)
  }
})

test('NetlinkError carries code, errno, operation and attribute', async (t) => {
  const { connection } = connect(t, [(r) => [datagram(refuse(one(r), 17, { offset: 20 }))]])
  await t.rejects(connection.request(newToy('bear')), {
    code: 'EEXIST',
    errno: 17,
    operation: 'toy add bear',
    attribute: 'TOY_NAME',
  })
})

test('Connection.request fails when the kernel does not answer before the deadline', async (t) => {
  const { connection } = connect(t, [() => []], { deadlineMs: 1 })
  await t.rejects(connection.request(getToys), { message: 'list toys: ETIMEDOUT: no answer from the kernel' })
})

test('Connection ignores an answer that comes after the deadline', async (t) => {
  let late: Uint8Array | undefined
  const { kernel, connection } = connect(
    t,
    [
      (r) => {
        late = datagram(ack(one(r)))
        return []
      },
      (r) => [...(late ? [late] : []), datagram(toy(one(r), 1)), datagram(ack(one(r)))],
    ],
    { deadlineMs: 1 },
  )
  await t.rejects(connection.request(getToys), { code: 'ETIMEDOUT' })
  t.same(ids(await connection.request(getToys)), [1])
  t.equal(kernel.heard.length, 2)
})

test('Connection.close fails what is pending and closes the socket', async (t) => {
  const { kernel, connection } = connect(t, [() => []])
  const pending = connection.request(getToys)
  connection.close()
  await t.rejects(pending, { message: 'list toys: ENOTCONN: socket is not connected' })
  t.ok(kernel.closed)
})

test('Connection keeps conversations apart whose answers come in another order', async (t) => {
  let first: Message | undefined
  const { connection } = connect(t, [
    (r) => {
      first = one(r)
      return []
    },
    (r) => [datagram(toy(one(r), 2), toy(first as Message, 1)), datagram(ack(one(r)), ack(first as Message))],
  ])
  const [a, b] = await Promise.all([connection.request(getToys), connection.request(getToys)])
  t.same([ids(a), ids(b)], [[1], [2]])
})

test('Connection.batch sends one datagram and asks for the last acknowledgement only', async (t) => {
  const { kernel, connection } = connect(t, [(r) => [datagram(ack(r[2] as Message))]])
  await connection.batch([newToy('a'), newToy('b'), newToy('c')])
  t.same(
    kernel.heard.map((requests) => requests.map(({ flags, seq }) => [seq, flags.toString(16)])),
    [
      [
        [1, '601'],
        [2, '601'],
        [3, '605'],
      ],
    ],
  )
  t.same(await connection.batch([]), [], 'nothing is nothing to send')
})

const typesOf = (kernel: ScriptedKernel) =>
  kernel.heard.map((requests) => requests.map(({ type }) => type).join(' '))

test('what is asked in one turn goes out in one datagram, and each is answered by itself', async (t) => {
  const turn: Turn = (r) => [
    datagram(toy(r[0] as Message, 7)),
    datagram(refuse(r[1] as Message, 17)),
    datagram(ack(r[3] as Message)),
  ]
  const { kernel, connection } = connect(t, [turn, (r) => [datagram(ack(one(r)))]], { gathers: true })
  const [found, refused, batch] = [
    connection.get(getToys),
    connection.request(newToy('a')),
    connection.batch([newToy('b'), newToy('c')]),
  ]
  t.strictSame(typesOf(kernel), [], 'at the end of the turn')
  t.same(ids([await found]), [7])
  await t.rejects(refused, { message: 'toy add a: EEXIST: file already exists' })
  t.same(await batch, [])
  await connection.request(newToy('d'))
  t.strictSame(typesOf(kernel), ['101 100 100 100', '100'])
})

test('a list ends the datagram, and nothing is gathered for ever', async (t) => {
  const all: Turn = (r) => r.map((request) => datagram(toy(request, 1)))
  const list: Turn = (r) => [datagram(toy(r[0] as Message, 1)), datagram(done(r[1] as Message))]
  const alone: Turn = (r) => [datagram(toy(one(r), 1)), datagram(done(one(r)))]
  const { kernel, connection } = connect(t, [list, alone, all, all, all], { gathers: true })
  await Promise.all([connection.dump(getToys), connection.get(newToy('a'))])
  t.strictSame(typesOf(kernel), ['100 101'])
  const listed = connection.dump(getToys)
  await Promise.resolve().then(() => connection.get(newToy('a')))
  await listed
  t.strictSame(typesOf(kernel), ['100 101', '101', '100'], 'nothing comes after it')
  await Promise.all(Array.from({ length: 17 }, () => connection.get(getToys)))
  t.strictSame(
    kernel.heard.slice(3).map(({ length }) => length),
    [16, 1],
    'as many as are received at once',
  )
})

test('what is gathered goes out before it is too long for the socket', async (t) => {
  const all: Turn = (r) => r.map((request) => datagram(ack(request)))
  const { kernel, connection } = connect(t, [all, all], { gathers: true })
  const long = 'b'.repeat(30_000)
  await Promise.all(['a', 'b', 'c'].map((name) => connection.request(newToy(name + long))))
  t.strictSame(typesOf(kernel), ['100 100', '100'])
})

test('Connection.close sends nothing of what was gathered', async (t) => {
  const { kernel, connection } = connect(t, [], { gathers: true })
  const asked = connection.request(getToys)
  connection.close()
  await t.rejects(asked, { code: 'ENOTCONN' })
  t.strictSame(kernel.heard, [])
})

test('a socket that does not send fails all that was gathered', async (t) => {
  const { connection } = connect(t, [], { gathers: true }) // nothing in the script
  const asked: Promise<unknown>[] = [connection.request(getToys), connection.get(getToys)]
  for (const one of asked) await t.rejects(one, { code: 'ENOTCONN' })
})

const BATCHES: readonly (readonly [name: string, turn: Turn, message: string])[] = [
  [
    'one in the middle fails: the others are tried',
    (r) => [datagram(refuse(r[1] as Message, 17)), datagram(ack(r[2] as Message))],
    'toy add b: EEXIST: file already exists',
  ],
  [
    'the last fails',
    (r) => [datagram(refuse(r[2] as Message, 17))],
    'toy add c: EEXIST: file already exists',
  ],
  [
    'all but the first fail: the first of them is told',
    (r) => [datagram(refuse(r[1] as Message, 19), refuse(r[2] as Message, 17))],
    'toy add b: ENODEV: no such device',
  ],
  [
    'the first fails and nothing follows, as nfnetlink refuses a batch',
    (r) => [datagram(refuse(r[0] as Message, 95))],
    'toy add a: EOPNOTSUPP: operation not supported',
  ],
]

test('Connection.batch throws the error of the first request that failed', async (t) => {
  for (const [name, turn, message] of BATCHES) {
    const { connection } = connect(t, [turn])
    await t.rejects(connection.batch([newToy('a'), newToy('b'), newToy('c')]), { message }, name)
  }
})

const multi = NLM_F_MULTI

test('Connection.dump gathers several datagrams', async (t) => {
  const { kernel, connection } = connect(t, [
    (r) => [
      datagram(toy(one(r), 1, multi), toy(one(r), 2, multi)),
      datagram(toy(one(r), 3, multi)),
      datagram(done(one(r))),
    ],
  ])
  t.same(ids(await connection.dump(getToys)), [1, 2, 3])
  t.equal(kernel.heard[0]?.[0]?.flags.toString(16), '301', 'REQUEST and DUMP, no ACK')
})

const interrupted: Turn = (r) => [
  datagram(toy(one(r), 1, multi), toy(one(r), 1, multi | NLM_F_DUMP_INTR)),
  datagram(done(one(r))),
]
const AGAIN: readonly (readonly [name: string, turn: Turn])[] = [
  ['interrupted', interrupted],
  ['interrupted in its last message', (r) => [datagram({ ...done(one(r)), flags: multi | NLM_F_DUMP_INTR })]],
  ['lost (ENOBUFS)', (r) => [datagram(toy(one(r), 1, multi)), socketError(105)]],
  ['one too many (EBUSY)', (r) => [datagram(refuse(one(r), 16))]],
]

test('Connection.dump is repeated when it was', async (t) => {
  for (const [name, turn] of AGAIN) {
    const { connection } = connect(t, [turn, turn, (r) => [datagram(toy(one(r), 5, multi), done(one(r)))]])
    t.same(ids(await connection.dump(getToys)), [5], name)
  }
})

test('Connection.dump gives up when it is always interrupted', async (t) => {
  const { kernel, connection } = connect(t, new Array<Turn>(40).fill(interrupted))
  await t.rejects(connection.dump(getToys), { message: 'list toys: EINTR: interrupted system call' })
  t.equal(kernel.heard.length, 30)
})

test('Connection.dump throws the error that it ends with', async (t) => {
  const { connection } = connect(t, [
    (r) => [datagram(toy(one(r), 1, multi)), datagram(done(one(r), 2, { text: 'No such shelf' }))],
    (r) => [datagram(refuse(one(r), 1))],
  ])
  await t.rejects(connection.dump(getToys), { message: 'list toys: ENOENT: No such shelf' })
  await t.rejects(connection.dump(getToys), { code: 'EPERM' })
})

test('Connection.dump waits for the dump before it', async (t) => {
  const order: string[] = []
  const turn =
    (id: number): Turn =>
    (r) => {
      order.push(`start ${id}`)
      return [datagram(toy(one(r), id, multi)), datagram(done(one(r)))]
    }
  const { connection } = connect(t, [turn(1), (r) => [datagram(refuse(one(r), 1))], turn(3)])
  const dumps = [1, 2, 3].map((id) =>
    connection.dump(getToys).then(
      () => order.push(`end ${id}`),
      () => order.push(`error ${id}`),
    ),
  )
  await Promise.all(dumps)
  t.same(order, ['start 1', 'end 1', 'error 2', 'start 3', 'end 3'])
})

test('Connection gives notifications to onEvent and makes no requests then', async (t) => {
  const events: number[] = []
  const { kernel, connection } = connect(t, [], { onEvent: (message) => events.push(message.seq) })
  const notification = { type: 100, flags: 0, seq: 0, payload: encode(u32, 4) }
  kernel.say(datagram(notification, { ...notification, seq: 1 }))
  t.same(events, [0, 1])
  t.throws(() => connection.request(getToys), TypeError)
  t.equal(kernel.heard.length, 0)
})

test('Connection tells onLoss when notifications were lost', async (t) => {
  const losses: string[] = []
  const { kernel } = connect(t, [], {
    onEvent: () => undefined,
    onLoss: (error) => losses.push(error.message),
  })
  kernel.say(socketError(105))
  kernel.say(socketError(-105))
  kernel.say(Uint8Array.of(1))
  t.same(losses, [
    'receive notifications: ENOBUFS: no buffer space available',
    'receive notifications: ENOBUFS: no buffer space available',
    'receive notifications: EPROTO: protocol error',
  ])
})

test('Connection without onEvent ignores what it did not ask for', async (t) => {
  const { kernel, connection } = connect(t, [(r) => [datagram(ack(one(r)))]])
  kernel.say(datagram({ type: 100, flags: 0, seq: 0, payload: encode(u32, 4) }))
  t.same(await connection.request(getToys), [])
})

test('Connection traces every message by name', async (t) => {
  const lines: string[] = []
  const trace = (line: string) => lines.push(line)
  const kinds = [TOY_NEW as unknown as MessageKind]
  const { connection } = connect(
    t,
    [
      (r) => [datagram(ack(r[1] as Message))],
      (r) => [datagram(toy(one(r), 1, multi), toy(one(r), 2, multi)), datagram(done(one(r)))],
      (r) => [datagram(refuse(one(r), 34, { text: 'Too long', offset: 20 }))],
      (r) => [datagram(reply(one(r), 100, Uint8Array.of(1))), datagram(ack(one(r)))],
    ],
    { trace, kinds },
  )
  await connection.batch([newToy('bear'), newToy('cat')])
  await connection.dump(getToys)
  await t.rejects(connection.request(newToy('dog')))
  await connection.request(getToys)
  const { kernel } = connect(t, [], { trace, kinds, onEvent: () => undefined })
  kernel.say(datagram({ type: 100, flags: 0, seq: 9, payload: encode(u32, 4) }))
  kernel.say(datagram({ type: 55, flags: 0, seq: 0, payload: encode(u32, 4) }))
  t.same(lines, [
    '> 1 TOY_NEW excl,create TOY_NAME "bear" TOY_OPTIONS { TOY_COLOUR "red" }',
    '> 2 TOY_NEW excl,create,ack TOY_NAME "cat" TOY_OPTIONS { TOY_COLOUR "red" }',
    '< 2 ok',
    '> 3 TOY_GET dump',
    '< 3 TOY_NEW multi toy_id 1',
    '< 3 TOY_NEW multi toy_id 2',
    '< 3 ok',
    '> 4 TOY_NEW excl,create,ack TOY_NAME "dog" TOY_OPTIONS { TOY_COLOUR "red" }',
    '< 4 error ERANGE Too long (TOY_NAME)',
    '> 5 TOY_GET ack',
    '< 5 TOY_NEW unreadable (1 bytes are too short for struct toymsg) 01',
    '< 5 ok',
    '* 9 TOY_NEW toy_id 4',
    '* 0 message of type 55, 4 bytes',
  ])
})

test('Connection traces a reply of a kind it was not told as what was asked for', async (t) => {
  const lines: string[] = []
  const { connection } = connect(t, [(r) => [datagram(toy(one(r), 7)), datagram(ack(one(r)))]], {
    trace: (line) => lines.push(line),
  })
  await connection.request(getToys)
  t.same(lines, ['> 1 TOY_GET ack', '< 1 reply to TOY_GET toy_id 7', '< 1 ok'])
})

/** Another thread sends and receives; what it has received is told when the test says so. */
class Elsewhere implements Transport {
  readonly heard: (readonly Message[])[] = []
  readonly #answers: PromiseWithResolvers<Answers>[] = []
  break: (error: Error & { errno?: number }) => void = () => undefined

  send(datagram: Uint8Array): Promise<Answers> {
    const answers = Promise.withResolvers<Answers>()
    this.heard.push([...readMessages(datagram)])
    this.#answers.push(answers)
    return answers.promise
  }

  answer(nth: number, make: (requests: readonly Message[]) => Answers): void {
    this.#answers[nth]?.resolve(make(this.heard[nth] ?? []))
  }

  listen(_: unknown, onError: typeof this.break): void {
    this.break = onError
  }

  close(): void {}
}

test('what another thread is not told fails what was asked of it', async (t) => {
  const { promise, reject } = Promise.withResolvers<Answers>()
  const connection = new Connection({ send: () => promise, listen: () => undefined, close: () => undefined })
  t.teardown(() => connection.close())
  const asked = connection.request(newToy('a'))
  reject(Object.assign(new Error('no descriptors'), { errno: 24 }))
  await t.rejects(asked, { code: 'EMFILE' })
})

test('of what was gathered, another thread tells the answers together', async (t) => {
  const elsewhere = new Elsewhere()
  const connection = new Connection(elsewhere, { gathers: true })
  t.teardown(() => connection.close())
  const [found, refused, unanswered] = [
    connection.get(getToys),
    connection.request(newToy('a')),
    connection.request(newToy('b')),
  ]
  await Promise.resolve()
  elsewhere.answer(0, (r) => [datagram(toy(r[0] as Message, 7)), datagram(refuse(r[1] as Message, 19))])
  t.same(ids([await found]), [7])
  await t.rejects(refused, { code: 'ENODEV' })
  await t.rejects(unanswered, { code: 'ETIMEDOUT' })
})

test('an answer that breaks leaves what was gathered with it and is answered', async (t) => {
  const elsewhere = new Elsewhere()
  const connection = new Connection(elsewhere, { gathers: true })
  t.teardown(() => connection.close())
  const answers: readonly (readonly [code: string, make: (r: readonly Message[]) => Answers])[] = [
    ['ENOBUFS', (r) => [datagram(ack(r[0] as Message)), 105]],
    ['EPROTO', (r) => [Uint8Array.of(1, 2, 3), datagram(ack(r[0] as Message))]],
    ['EPROTO', (r) => [Uint8Array.of(1, 2, 3), ...manyToys(r[0] as Message), datagram(ack(r[0] as Message))]],
  ]
  for (const [nth, [code, make]] of answers.entries()) {
    const [answered, broken] = [connection.request(newToy('a')), connection.request(newToy('b'))]
    await Promise.resolve()
    elsewhere.answer(nth, make)
    await t.resolves(answered)
    await t.rejects(broken, { code, operation: 'toy add b' })
  }
})

/** More datagrams than are read in one turn. */
const manyToys = (to: Message) => Array.from({ length: 40 }, (_, i) => datagram(toy(to, i)))

test('what another thread asks is answered as a whole, and fails by itself', async (t) => {
  const elsewhere = new Elsewhere()
  const connection = new Connection(elsewhere, { deadlineMs: 1 })
  t.teardown(() => connection.close())
  const ask = () => connection.request(getToys)
  const [refused, unreadable, incomplete, broken, long, last] = [ask(), ask(), ask(), ask(), ask(), ask()]
  elsewhere.break(socketError(105)) // of this thread's socket
  await new Promise((resolve) => setTimeout(resolve, 5)) // longer than the deadline for answers to this thread
  elsewhere.answer(0, (r) => [datagram(refuse(one(r), 19))])
  elsewhere.answer(1, () => [Uint8Array.of(1, 2, 3)])
  elsewhere.answer(2, (r) => [datagram(toy(one(r), 7))])
  elsewhere.answer(3, () => [90])
  elsewhere.answer(4, (r) => [
    ...Array.from({ length: 40 }, (_, i) => datagram(toy(one(r), i))),
    datagram(ack(one(r))),
  ])
  await t.rejects(refused, { code: 'ENODEV' })
  await t.rejects(unreadable, { code: 'EPROTO' })
  await t.rejects(incomplete, { message: 'list toys: ETIMEDOUT: no answer from the kernel' })
  await t.rejects(broken, { code: 'EMSGSIZE' })
  t.strictSame(
    ids(await long),
    Array.from({ length: 40 }, (_, i) => i),
  )
  elsewhere.answer(5, (r) => [datagram(ack(one(r)))])
  t.strictSame(await last, [])
})
