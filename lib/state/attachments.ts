// The attachment records: what each plugin made for a container, so that DEL needs nothing but the store.

export interface AttachmentKey {
  /** The plugin's own name: `cni-bridge`. */
  readonly plugin: string
  /** The network's name, `name` in its configuration. */
  readonly network: string
  readonly containerId: string
  readonly ifname: string
}

export interface Attachment extends AttachmentKey {
  readonly netns: string
  /** JSON, typed by the plugin. */
  readonly record: unknown
  /** The boot in which it was made; what it names is gone in any other. */
  readonly bootId: string
  readonly createdAtMs: number
  /** False while ADD is making it; what nobody is working on then is half made, and to be taken back. */
  readonly isComplete: boolean
  /** The call that made it, where the caller named it (lib/host/call.ts). */
  readonly callId?: string
  readonly podNamespace?: string
  readonly podName?: string
}

export interface AttachmentFilter {
  readonly plugin?: string
  readonly network?: string
  readonly containerId?: string
  /** Also those of earlier boots, as far as they are still there: the first change in a new boot drops them. */
  readonly anyBoot?: boolean
}

/** All of it throws StoreError when the store cannot be read or written. */
export interface AttachmentStore {
  /** Replaces what is there under the same key. */
  put(attachment: Attachment): void
  /** ADD has made all of it. Unknown is fine: it was taken back meanwhile. */
  complete(key: AttachmentKey): void
  /** Only of this boot. */
  find(key: AttachmentKey): Attachment | undefined
  /** Unknown is fine. */
  delete(key: AttachmentKey): void
  /** By plugin, network, container and interface name, in this order. */
  list(filter?: AttachmentFilter): Attachment[]
  /** Only of this boot. */
  count(): number
  /** Fails where `put` would; changes nothing. */
  probe(): void
  close(): void
}
