import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface DockerRegistryOptions {
  /** Users that it lets in, with bcrypt's hashes in its file. */
  readonly htpasswd?: Readonly<Record<string, string>> | undefined;
  /** Tokens that it lets in: those that `issuer` made for `service`, signed below the certificates in the file. */
  readonly token?:
    | {
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        readonly rootCertFile: string;
      }
    | undefined;
  /** Serves HTTPS with these; `clientCaFile` makes it ask for a client's certificate. */
  readonly tls?:
    { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string | undefined } | undefined;
  /** Whether manifests and blobs can be deleted. Default: true. */
  readonly deletable?: boolean | undefined;
  /** Makes it a pull-through cache of another: `http://127.0.0.1:5000`. */
  readonly proxyUrl?: string | undefined;
}

/** Debian's docker-registry on a free port of 127.0.0.1, with storage of its own. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:40123`: what references to its images begin with. */
  readonly domain: string;
  readonly url: string;
  /** Its storage driver's root: `docker/registry/v2/…` is below. */
  readonly storageDir: string;
  stop(): Promise<void>;
}

const authSection = (dir: string, options: DockerRegistryOptions): object => {
  if (options.token !== undefined) {
    const { realm, service, issuer, rootCertFile } = options.token;
    return { auth: { token: { realm, service, issuer, rootcertbundle: rootCertFile } } };
  }
  if (options.htpasswd === undefined) return {};
  const lines = Object.entries(options.htpasswd).map(([user, password]) =>
    execFileSync('htpasswd', ['-nbB', '-C', '5', user, password], { encoding: 'utf8' }).trim(),
  );
  const path = join(dir, 'htpasswd');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return { auth: { htpasswd: { realm: 'test registry', path } } };
};

const tlsSection = ({ tls }: DockerRegistryOptions): object => {
  if (tls === undefined) return {};
  const clientcas = tls.clientCaFile === undefined ? {} : { clientcas: [tls.clientCaFile] };
  return { tls: { certificate: tls.certFile, key: tls.keyFile, ...clientcas } };
};

/** JSON is YAML too. */
const configOf = (dir: string, storageDir: string, options: DockerRegistryOptions): string =>
  JSON.stringify({
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storageDir },
      delete: { enabled: options.deletable ?? true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: '127.0.0.1:0', secret: 'for tests', ...tlsSection(options) },
    ...authSection(dir, options),
    ...(options.proxyUrl === undefined ? {} : { proxy: { remoteurl: options.proxyUrl } }),
  });

/** The port is 0 in its configuration, so nobody can take it first; which one it got stands in its log. */
const listening = async (child: ChildProcess): Promise<string> => {
  if (child.stderr === null) throw new Error('docker-registry has no standard error');
  const seen: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    const domain = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (domain === undefined) seen.push(line);
    else return domain;
  }
  throw new Error(`docker-registry did not start:\n${seen.join('\n')}`);
};

const stopChild = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
};

/**
 * Starts a registry; `stop` (or `await using`) ends it and removes its storage.
 *
 * @example await using registry = await startDockerRegistry({ htpasswd: { alice: 'secret' } });
 */
export const startDockerRegistry = async (options: DockerRegistryOptions = {}): Promise<DockerRegistry> => {
  const dir = mkdtempSync(join(tmpdir(), 'tsc-docker-registry-'));
  const [storageDir, configFile] = [join(dir, 'storage'), join(dir, 'config.yml')];
  mkdirSync(storageDir);
  writeFileSync(configFile, configOf(dir, storageDir, options));
  const child = spawn('docker-registry', ['serve', configFile], {
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = async (): Promise<void> => {
    await stopChild(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const domain = await Promise.race([
      listening(child),
      once(child, 'error').then(([error]) => Promise.reject(error as Error)),
    ]);
    child.stderr.resume();
    return {
      domain,
      url: `${options.tls === undefined ? 'http' : 'https'}://${domain}`,
      storageDir,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
