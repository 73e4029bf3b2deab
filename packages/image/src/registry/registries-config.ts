/** Another server to read from. */
export interface RegistryMirror {
  /** `https://mirror.example:5000`, or with a path that is put before every repository's name: `https://harbor.example/hub`. */
  readonly url: string;
  /** `pull`: reads content by digest. `resolve`: is trusted to say which digest a tag has. Default: both. */
  readonly capabilities?: readonly ('pull' | 'resolve')[] | undefined;
}

/** How to speak with one registry host. */
export interface RegistryHost {
  /** Asked in this order before the registry itself, for reading only. */
  readonly mirrors?: readonly RegistryMirror[] | undefined;
  /** Speak HTTP, which everybody on the way can read and change. Default: only with loopback addresses that want it. */
  readonly plainHttp?: boolean | undefined;
  /** Take any TLS certificate, so anybody on the way can be the registry. */
  readonly insecure?: boolean | undefined;
  /** Certificate authorities to trust besides Node's own: PEM text, or the absolute path of such a file. */
  readonly ca?: string | undefined;
  /** To show to the registry: PEM text or the absolute path of such a file. Needs `clientKey`. */
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  /** Sent with every request to this host, and to no other. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Hosts (with ports) besides the registry's own that may be given its credential to make a token of. */
  readonly tokenHosts?: readonly string[] | undefined;
}

export interface RegistriesConfig {
  /** By host and port as they stand in references; `'*'` has mirrors for all hosts that are not listed. */
  readonly hosts: Readonly<Record<string, RegistryHost>>;
}

/**
 * Reads the YAML file in which people say how to speak with registries.
 *
 * Nothing is read from disk: files that it names are read at the first connection to their host.
 *
 * @param where - named in errors, usually the file
 * @throws {@link ImageError} `REGISTRY_CONFIG_INVALID`: names the member, and what is right
 */
export const parseRegistriesConfig = (yamlText: string, where: string = 'registries'): RegistriesConfig => {
  throw new Error(`${where}: ${String(yamlText.length)}`);
};
