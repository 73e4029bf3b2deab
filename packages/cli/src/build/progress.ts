import { once } from 'node:events';
import type { Writable } from 'node:stream';

import type { BuildEvent } from '@tsc/builder';

import { failed } from '../errors.ts';
import { oneLine } from '../failure.ts';
import { plainView } from '../progress/view.ts';
import type { ProgressView } from '../progress/view.ts';
import { BasePulls } from './base-pull.ts';

type Built = Extract<BuildEvent, { readonly type: 'built' }>;
type StepOutput = Extract<BuildEvent, { readonly type: 'step-output' }>;

/** Carries a build out without a word, and returns the id of the image. */
export async function quietly(events: AsyncIterable<BuildEvent>): Promise<string> {
  let built: Built | undefined;
  for await (const event of events) if (event.type === 'built') built = event;
  return idOf(built);
}

export interface FollowOptions {
  readonly now?: (() => number) | undefined;
  /** Where the pull of a base image is shown, its lines beginning with `prefix`. Lines like all others, unless told. */
  readonly openView?: ((prefix: string) => ProgressView) | undefined;
}

/**
 * Prints what a build does, line by line, and returns the id of the image. Nothing is asked of the build while the reader of
 * the lines is behind.
 */
export async function followBuild(
  events: AsyncIterable<BuildEvent>,
  to: Writable,
  { now = () => performance.now(), openView = (prefix) => plainView(to, prefix) }: FollowOptions = {},
): Promise<string> {
  using pulls = new BasePulls(openView, now);
  const say = async (text: string | Buffer): Promise<void> => {
    if (!to.write(text)) await once(to, 'drain');
  };
  let built: Built | undefined;
  let started = now();
  let lines = new OutputLines();
  for await (const event of events) {
    if (event.type === 'pull-started' || event.type === 'pull-progress') pulls.follow(event);
    if (event.type === 'planned') for (const warning of event.warnings) await say(`WARNING: ${oneLine(warning)}\n`);
    if (event.type === 'step-started') {
      started = now();
      lines = new OutputLines();
      await say(`#${event.step} ${oneLine(event.text)}\n`);
    }
    if (event.type === 'step-output') await say(lines.add(event));
    if (event.type === 'step-done') {
      await say(lines.rest());
      await say(`#${event.step} DONE ${((now() - started) / 1000).toFixed(1)}s\n\n`);
    }
    if (event.type === 'built') built = event;
  }
  const imageId = idOf(built);
  await say(`writing image ${imageId}\n`);
  for (const name of built?.names ?? []) await say(`naming to ${name}\n`);
  return imageId;
}

function idOf(built: Built | undefined): string {
  if (built === undefined) throw failed('the build ended without an image');
  return built.imageId;
}

const NEWLINE = 10;
/** A line that is longer is shown in pieces: some programs write megabytes without an end of line. */
const LINE_MAX = 64 * 1024;

/** Puts the step's number before each line of what RUN prints. The bytes of a line stay as they are. */
class OutputLines {
  readonly #begun = new Map<StepOutput['stream'], { readonly step: number; readonly bytes: Buffer }>();

  /** The lines that are whole now. */
  add({ step, stream, bytes }: StepOutput): Buffer {
    const all = Buffer.concat([this.#begun.get(stream)?.bytes ?? Buffer.alloc(0), bytes]);
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = all.indexOf(NEWLINE, from); at >= 0; at = all.indexOf(NEWLINE, from)) {
      lines.push(lineOf(step, all.subarray(from, at)));
      from = at + 1;
    }
    if (all.length - from > LINE_MAX) {
      lines.push(lineOf(step, all.subarray(from)));
      from = all.length;
    }
    this.#begun.set(stream, { step, bytes: all.subarray(from) });
    return Buffer.concat(lines);
  }

  /** What has no end of line. */
  rest(): Buffer {
    const left = [...this.#begun.values()].filter(({ bytes }) => bytes.length > 0);
    this.#begun.clear();
    return Buffer.concat(left.map(({ step, bytes }) => lineOf(step, bytes)));
  }
}

const lineOf = (step: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`#${step} `), bytes, Buffer.from('\n')]);
