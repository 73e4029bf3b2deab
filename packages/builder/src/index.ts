export type {
  AddInstruction,
  ArgInstruction,
  CommandInstruction,
  CommandLine,
  CopyInstruction,
  Dockerfile,
  DockerfileWarning,
  EnvInstruction,
  ExposeInstruction,
  FileSource,
  FileSources,
  FromInstruction,
  HealthcheckInstruction,
  Instruction,
  InstructionBase,
  KeyValue,
  LabelInstruction,
  OnbuildInstruction,
  RunInstruction,
  RunMount,
  ShellInstruction,
  Stage,
  StageInstruction,
  TriggerInstruction,
  ValueInstruction,
  VolumeInstruction,
} from './ast.ts';
export type { BasePullEvent, PullBase, PullPolicy } from './base-pull.ts';
export { build } from './build.ts';
export type { BuildEvent, BuildOptions } from './build.ts';
export type { BuildArgs } from './build-args.ts';
export type { CheckDirective, EscapeCharacter, ParserDirectives } from './directives.ts';
export { parseDockerfile } from './dockerfile.ts';
export type { ParseDockerfileOptions } from './dockerfile.ts';
export { engineRunStep } from './engine-run-step.ts';
export type { EngineRunStepOptions } from './engine-run-step.ts';
export { BuilderError, isBuilderError } from './errors.ts';
export type { BuilderErrorCode, BuilderErrorDetails } from './errors.ts';
export { expandWord, expandWords, unsetVariables } from './expansion.ts';
export type { ExpansionScope } from './expansion.ts';
export type { MountFiles } from './mount-files.ts';
export type { Heredoc } from './heredoc.ts';
export { isIgnored, parseIgnoreFile } from './ignore-file.ts';
export type { IgnoreRules } from './ignore-file.ts';
export { planStages } from './plan.ts';
export type { BaseNode, BuildPlan, PlanBase, PlanNode, PlanOptions, StageNode, StepNode } from './plan.ts';
export { formatPlatform, hostPlatform, parsePlatform } from './platform.ts';
export type { BuildPlatform } from './platform.ts';
export type { StepEvent } from './execution.ts';
export type { RunEvent, RunRequest, RunRequestMount, RunStep } from './run-step.ts';
export type { BuildStore } from './stage-state.ts';
export type { SourceFile, SourcePlace, SourceRange } from './source.ts';
