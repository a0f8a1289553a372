// A client of the Container Runtime Interface, as a kubelet is one.

import { join } from 'node:path'
import { type Client, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const PROTO = join(import.meta.dirname, 'cri.proto')
const DEADLINE_MS = 30_000

export interface PodConfig {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string }
  readonly hostname?: string
  readonly portMappings?: readonly {
    readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
    readonly containerPort: number
    readonly hostPort: number
    readonly hostIp?: string
  }[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux?: { readonly cgroupParent: string }
}

export interface PodStatus {
  readonly state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
  readonly network: { readonly ip: string; readonly additionalIps: readonly { readonly ip: string }[] }
  /** Path of the network namespace, as containerd sees it. */
  readonly netns: string
}

export interface RuntimeCondition {
  readonly type: string
  readonly status: boolean
  readonly reason: string
  readonly message: string
}

export class CriClient {
  readonly #client: Client & Readonly<Record<string, unknown>>

  /** @param socket  path of the runtime's socket; it need not be there yet */
  constructor(socket: string) {
    const definition = loadPackageDefinition(loadSync(PROTO, { enums: String, defaults: true }))
    const { v1 } = definition['runtime'] as unknown as {
      v1: { RuntimeService: ServiceClientConstructor }
    }
    this.#client = new v1.RuntimeService(`unix:${socket}`, credentials.createInsecure()) as never
  }

  /** @throws when there is nobody after a while */
  awaitReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + DEADLINE_MS, (error) => (error ? reject(error) : resolve()))
    })
  }

  async runPod(config: PodConfig): Promise<string> {
    const { podSandboxId } = await this.#call('RunPodSandbox', { config })
    return String(podSandboxId)
  }

  async podStatus(podSandboxId: string): Promise<PodStatus> {
    const { status, info } = await this.#call('PodSandboxStatus', { podSandboxId, verbose: true })
    const { runtimeSpec } = JSON.parse((info as { info?: string }).info ?? '{}') as Info
    const namespace = runtimeSpec?.linux.namespaces.find(({ type }) => type === 'network')
    return { ...(status as PodStatus), netns: namespace?.path ?? '' }
  }

  async stopPod(podSandboxId: string): Promise<void> {
    await this.#call('StopPodSandbox', { podSandboxId })
  }

  async removePod(podSandboxId: string): Promise<void> {
    await this.#call('RemovePodSandbox', { podSandboxId })
  }

  async conditions(): Promise<readonly RuntimeCondition[]> {
    const { status } = await this.#call('Status', {})
    return (status as { conditions: RuntimeCondition[] }).conditions
  }

  close(): void {
    this.#client.close()
  }

  #call(method: string, request: object): Promise<Readonly<Record<string, unknown>>> {
    const call = this.#client[method] as Method
    return new Promise((resolve, reject) => {
      call.call(this.#client, request, { deadline: Date.now() + DEADLINE_MS }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      )
    })
  }
}

/** What containerd tells beyond the interface. */
interface Info {
  readonly runtimeSpec?: {
    readonly linux: { readonly namespaces: readonly { readonly type: string; readonly path?: string }[] }
  }
}

type Method = (
  request: object,
  options: { readonly deadline: number },
  answer: (error: Error | null, response: Readonly<Record<string, unknown>>) => void,
) => void
