import type { ParserDirectives } from './directives.ts';
import type { Heredoc } from './heredoc.ts';
import type { SourceFile, SourcePlace, SourceRange } from './source.ts';

/** A parsed Dockerfile. Words are as written: variables are expanded when the plan is made or carried out. */
export interface Dockerfile {
  readonly source: SourceFile;
  readonly directives: ParserDirectives;
  /** ARG instructions before the first FROM: visible in FROM lines, and in a stage that declares the name again. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly DockerfileWarning[];
}

/** FROM and everything up to the next one. */
export interface Stage {
  readonly index: number;
  /** Lower case, as `--from` and `--target` compare it. */
  readonly name: string | undefined;
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
}

/** Something that works but should not be written; `rule` is the name of BuildKit's check. */
export interface DockerfileWarning {
  readonly rule: 'NoEmptyContinuation' | 'LegacyKeyValueFormat' | 'JSONArgsRecommended' | 'MaintainerDeprecated';
  readonly message: string;
  readonly range: SourceRange;
}

/** What every instruction has. */
export interface InstructionBase extends SourcePlace {
  /** The instruction on one line, continuations joined: what the image's history shows. */
  readonly text: string;
}

/** A command in exec form (a JSON array, run as it is) or shell form (a string for SHELL). */
export type CommandLine =
  | { readonly form: 'exec'; readonly argv: readonly string[] }
  | { readonly form: 'shell'; readonly script: string; readonly heredocs: readonly Heredoc[] };

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export interface FromInstruction extends InstructionBase {
  readonly type: 'from';
  /** An image reference, `scratch`, or the name of an earlier stage. */
  readonly image: string;
  readonly alias: string | undefined;
  readonly platform: string | undefined;
}

/** One `--mount` of RUN: `type` is checked, the options are checked by name, the values may hold variables. */
export interface RunMount {
  readonly type: 'bind' | 'cache' | 'secret' | 'ssh' | 'tmpfs';
  readonly options: ReadonlyMap<string, string>;
}

export interface RunInstruction extends InstructionBase {
  readonly type: 'run';
  readonly command: CommandLine;
  readonly mounts: readonly RunMount[];
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  /** CDI device requests. */
  readonly devices: readonly string[];
}

/** What COPY and ADD have in common. */
export interface FileSources {
  /** Paths and patterns, in the order written; a here-document stands for itself. */
  readonly sources: readonly FileSource[];
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  /** Patterns of files to leave out, as in `.dockerignore`. */
  readonly exclude: readonly string[];
}

export type FileSource =
  { readonly type: 'path'; readonly path: string } | { readonly type: 'heredoc'; readonly heredoc: Heredoc };

export interface CopyInstruction extends InstructionBase, FileSources {
  readonly type: 'copy';
  /** A stage's name or index, or an image; undefined is the build context. */
  readonly from: string | undefined;
  readonly parents: boolean;
}

export interface AddInstruction extends InstructionBase, FileSources {
  readonly type: 'add';
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean;
  /** Whether archives are unpacked; undefined: local ones are, downloaded ones are not. */
  readonly unpack: boolean | undefined;
}

export interface ArgInstruction extends InstructionBase {
  readonly type: 'arg';
  readonly args: readonly { readonly name: string; readonly defaultValue: string | undefined }[];
}

export interface HealthcheckInstruction extends InstructionBase {
  readonly type: 'healthcheck';
  /** undefined is `HEALTHCHECK NONE`. */
  readonly command: CommandLine | undefined;
  readonly intervalNs: number | undefined;
  readonly timeoutNs: number | undefined;
  readonly startPeriodNs: number | undefined;
  readonly startIntervalNs: number | undefined;
  readonly retries: number | undefined;
}

export interface EnvInstruction extends InstructionBase {
  readonly type: 'env';
  readonly pairs: readonly KeyValue[];
}

export interface LabelInstruction extends InstructionBase {
  readonly type: 'label';
  readonly pairs: readonly KeyValue[];
}

export interface CommandInstruction extends InstructionBase {
  readonly type: 'cmd' | 'entrypoint';
  readonly command: CommandLine;
}

export interface ShellInstruction extends InstructionBase {
  readonly type: 'shell';
  readonly argv: readonly string[];
}

/** WORKDIR, USER, STOPSIGNAL and MAINTAINER take the rest of their line as one value. */
export interface ValueInstruction extends InstructionBase {
  readonly type: 'workdir' | 'user' | 'stopsignal' | 'maintainer';
  readonly value: string;
}

export interface ExposeInstruction extends InstructionBase {
  readonly type: 'expose';
  /** `80`, `80/udp`, `8000-8010/tcp`, or a variable. */
  readonly ports: readonly string[];
}

export interface VolumeInstruction extends InstructionBase {
  readonly type: 'volume';
  readonly paths: readonly string[];
}

export interface OnbuildInstruction extends InstructionBase {
  readonly type: 'onbuild';
  /** The instruction's text as the image config keeps it, here-documents included. */
  readonly expression: string;
  /** The same, parsed: a trigger that doesn't parse is found when it is written, not when it is pulled. */
  readonly trigger: TriggerInstruction;
}

export type TriggerInstruction =
  | AddInstruction
  | ArgInstruction
  | CommandInstruction
  | CopyInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | RunInstruction
  | ShellInstruction
  | ValueInstruction
  | VolumeInstruction;

export type StageInstruction = TriggerInstruction | OnbuildInstruction;
export type Instruction = StageInstruction | FromInstruction;
