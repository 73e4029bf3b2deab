/** What a repository's owner has laid down; asked for at every push. */
export interface RepositoryPolicy {
  /** Whether a tag can be made, but neither moved nor deleted. */
  isImmutable(name: string, tag: string): boolean;
  /** Bytes that the blobs of a repository may have together; undefined: no limit. */
  quotaBytes(name: string): number | undefined;
}

export const NO_POLICY: RepositoryPolicy = { isImmutable: () => false, quotaBytes: () => undefined };
