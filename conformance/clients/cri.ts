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
  /** Where its containers' output goes. */
  readonly logDirectory?: string
  readonly linux?: {
    readonly cgroupParent: string
    readonly securityContext?: { readonly namespaceOptions: NamespaceOptions }
  }
}

interface NamespaceOptions {
  readonly network: 'POD' | 'NODE'
  readonly pid: 'POD' | 'NODE'
}

export interface ContainerConfig {
  readonly metadata: { readonly name: string }
  readonly image: { readonly image: string }
  readonly command: readonly string[]
  readonly mounts: readonly { readonly containerPath: string; readonly hostPath: string }[]
  readonly logPath: string
  readonly linux: {
    readonly securityContext: {
      readonly capabilities: {
        readonly addCapabilities: readonly string[]
        readonly dropCapabilities: readonly string[]
      }
      readonly namespaceOptions: NamespaceOptions
      readonly readonlyRootfs: boolean
      readonly noNewPrivs: boolean
      readonly seccomp: { readonly profileType: 'RuntimeDefault' | 'Unconfined' }
    }
  }
}

export interface ContainerStatus {
  readonly state: 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN'
  readonly exitCode: number
}

/** A pod that is there, and how it was asked for. */
export interface Sandbox {
  readonly id: string
  readonly config: PodConfig
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

  /** @returns the id of the container, which runs */
  async startContainer({ id, config: sandboxConfig }: Sandbox, config: ContainerConfig): Promise<string> {
    const request = { podSandboxId: id, config, sandboxConfig }
    const { containerId } = await this.#call('CreateContainer', request)
    await this.#call('StartContainer', { containerId })
    return String(containerId)
  }

  async containerStatus(containerId: string): Promise<ContainerStatus> {
    const { status } = await this.#call('ContainerStatus', { containerId })
    return status as ContainerStatus
  }

  /** SIGTERM, and SIGKILL when it is still there then. */
  async stopContainer(containerId: string, timeoutSeconds: number): Promise<void> {
    await this.#call('StopContainer', { containerId, timeout: timeoutSeconds })
  }

  /** A program in the container, as a probe is one. */
  async exec(containerId: string, cmd: readonly string[]): Promise<{ exitCode: number; output: string }> {
    const { exitCode, stdout, stderr } = await this.#call('ExecSync', { containerId, cmd, timeout: 10 })
    return { exitCode: Number(exitCode), output: `${stdout}${stderr}` }
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
