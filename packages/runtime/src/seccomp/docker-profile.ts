import { RuntimeError } from '../errors.ts';
import { parseExactJson } from '../exact-json.ts';
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../oci-spec.ts';
import { abisOf, type SeccompArch } from './architecture.ts';

export interface DockerProfileFacts {
  /** The container's bounding set, as `CAP_*`. */
  readonly capabilities: readonly string[];
  readonly arch: SeccompArch;
  /** As `uname -r` has it; all after the first two numbers is ignored. */
  readonly kernelVersion: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What Docker calls the machines, in `includes.arches`. */
const DOCKER_ARCH: Readonly<Record<SeccompArch, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/**
 * Reads a profile as `--security-opt seccomp=<file>` takes it: the OCI object with Docker's `archMap`, and rules that
 * `includes` and `excludes` bind to capabilities, architectures and kernel versions.
 *
 * @param json - the file's text; a value beyond 2⁵³ is kept exactly, as a `bigint`
 * @throws {@link RuntimeError} `RUNTIME_INVALID_SECCOMP`: no JSON, or not a profile; the message says where
 * @see https://docs.docker.com/engine/security/seccomp/
 */
export function parseDockerProfile(json: string, facts: DockerProfileFacts): LinuxSeccomp {
  const profile = readObject(parse(json), 'the profile');
  const rules = readList(profile['syscalls'], 'syscalls').map((rule, index) => ({
    fields: readObject(rule, `syscalls[${String(index)}]`),
    where: `syscalls[${String(index)}]`,
  }));
  const wanted = rules.filter(({ fields, where }) => applies(fields, { where, facts }));
  const strings = (key: string): readonly string[] | undefined =>
    isAbsent(profile[key]) ? undefined : readStrings(profile[key], key);
  return {
    defaultAction: readString(profile['defaultAction'], 'defaultAction'),
    ...optional('defaultErrnoRet', readInteger(profile['defaultErrnoRet'], 'defaultErrnoRet')),
    ...optional('architectures', readArchitectures(profile, facts.arch)),
    ...optional('flags', strings('flags')),
    ...optional(
      'listenerPath',
      isAbsent(profile['listenerPath']) ? undefined : readString(profile['listenerPath'], 'listenerPath'),
    ),
    syscalls: wanted.map(({ fields, where }) => readRule(fields, where)),
  };
}

function parse(json: string): unknown {
  try {
    return parseExactJson(json);
  } catch (cause) {
    throw new RuntimeError('RUNTIME_INVALID_SECCOMP', 'cannot read the seccomp profile: it is not JSON', { cause });
  }
}

function readArchitectures(profile: Fields, arch: SeccompArch): readonly string[] | undefined {
  const listed = readStrings(profile['architectures'], 'architectures');
  const map = readList(profile['archMap'], 'archMap');
  if (listed.length > 0 && map.length > 0) throw invalid('archMap', 'there is "architectures" too; use one of them');
  if (map.length === 0) return isAbsent(profile['architectures']) ? undefined : listed;
  const entries = map.map((entry, index) => readObject(entry, `archMap[${String(index)}]`));
  const native = abisOf[arch][0].name;
  const entry = entries.find(({ architecture }) => architecture === native);
  return entry === undefined
    ? undefined
    : [native, ...readStrings(entry['subArchitectures'], 'archMap subArchitectures')];
}

/** Whether a rule is for this container: nothing that it excludes is so, and everything that it includes is. */
function applies(
  rule: Fields,
  { where, facts }: { readonly where: string; readonly facts: DockerProfileFacts },
): boolean {
  const excludes = readFilter(rule['excludes'], `${where}.excludes`);
  const includes = readFilter(rule['includes'], `${where}.includes`);
  const has = (capability: string): boolean => facts.capabilities.includes(capability);
  const arch = DOCKER_ARCH[facts.arch];
  if (excludes.arches.includes(arch) || excludes.caps.some(has)) return false;
  if (excludes.minKernel !== undefined && reaches(facts.kernelVersion, excludes.minKernel)) return false;
  if (includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
  if (includes.minKernel !== undefined && !reaches(facts.kernelVersion, includes.minKernel)) return false;
  return includes.caps.every(has);
}

interface Filter {
  readonly caps: readonly string[];
  readonly arches: readonly string[];
  readonly minKernel: string | undefined;
}

function readFilter(value: unknown, where: string): Filter {
  const fields = isAbsent(value) ? {} : readObject(value, where);
  const minKernel = fields['minKernel'];
  if (isAbsent(minKernel) || minKernel === '') return { ...readNames(fields, where), minKernel: undefined };
  const version = readString(minKernel, `${where}.minKernel`);
  if (!/^\d{1,3}\.\d{1,3}$/.test(version)) throw invalid(`${where}.minKernel`, 'not a version such as "4.8"');
  return { ...readNames(fields, where), minKernel: version };
}

const readNames = (fields: Fields, where: string): Pick<Filter, 'caps' | 'arches'> => ({
  caps: readStrings(fields['caps'], `${where}.caps`),
  arches: readStrings(fields['arches'], `${where}.arches`),
});

function reaches(release: string, minimum: string): boolean {
  const [major = 0, minor = 0] = parseRelease(release);
  const [wantedMajor = 0, wantedMinor = 0] = parseRelease(minimum);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function parseRelease(release: string): readonly number[] {
  const found = /^(\d+)\.(\d+)/.exec(release);
  if (found === null) throw invalid('minKernel', `cannot compare with kernel version ${JSON.stringify(release)}`);
  return found.slice(1).map(Number);
}

function readRule(rule: Fields, where: string): LinuxSyscall {
  const names = readStrings(rule['names'], `${where}.names`);
  const name = isAbsent(rule['name']) ? '' : readString(rule['name'], `${where}.name`);
  if (name !== '' && names.length > 0) throw invalid(where, 'both "name" and "names"; use one of them');
  const args = readList(rule['args'], `${where}.args`).map((arg, index) =>
    readArg(arg, `${where}.args[${String(index)}]`),
  );
  return {
    names: name === '' ? names : [name],
    action: readString(rule['action'], `${where}.action`),
    ...optional('errnoRet', readInteger(rule['errnoRet'], `${where}.errnoRet`)),
    ...(args.length > 0 ? { args } : {}),
  };
}

function readArg(value: unknown, where: string): LinuxSeccompArg {
  const arg = readObject(value, where);
  return {
    index: readInteger(arg['index'], `${where}.index`) ?? 0,
    value: readNumber(arg['value'], `${where}.value`),
    ...(isAbsent(arg['valueTwo']) ? {} : { valueTwo: readNumber(arg['valueTwo'], `${where}.valueTwo`) }),
    op: readString(arg['op'], `${where}.op`),
  };
}

const invalid = (where: string, what: string): RuntimeError =>
  new RuntimeError('RUNTIME_INVALID_SECCOMP', `cannot read the seccomp profile: ${where}: ${what}`);

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;

const optional = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  value === undefined ? {} : ({ [key]: value } as Record<K, V>);

function readObject(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'not an object');
  return value as Fields;
}

function readList(value: unknown, where: string): readonly unknown[] {
  if (isAbsent(value)) return [];
  if (!Array.isArray(value)) throw invalid(where, 'not a list');
  return value as readonly unknown[];
}

const readStrings = (value: unknown, where: string): readonly string[] =>
  readList(value, where).map((item) => readString(item, where));

function readString(value: unknown, where: string): string {
  if (typeof value !== 'string') throw invalid(where, isAbsent(value) ? 'missing' : 'not a string');
  return value;
}

function readNumber(value: unknown, where: string): number | bigint {
  if (isAbsent(value)) return 0;
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return value as number | bigint;
  throw invalid(where, 'not an integer');
}

function readInteger(value: unknown, where: string): number | undefined {
  if (isAbsent(value)) return undefined;
  if (!Number.isSafeInteger(value)) throw invalid(where, 'not an integer');
  return value as number;
}
