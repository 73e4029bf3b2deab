import type { PullEvent, Reference } from '@tsc/image';

import { failed } from '../errors.ts';
import { PullSteps } from './transfer.ts';
import type { ProgressView } from './view.ts';

export type Pulled = Extract<PullEvent, { readonly type: 'pulled' }>;

/** Shows a pull to its end, as Docker does, and returns what it brought. */
export async function followPull(
  events: AsyncIterable<PullEvent>,
  reference: Reference,
  view: ProgressView,
): Promise<Pulled> {
  const steps = new PullSteps();
  let pulled: Pulled | undefined;
  for await (const event of events) {
    if (event.type === 'resolved') view.line(`${pullLabel(reference)}: Pulling from ${reference.path}`);
    else if (event.type === 'layer') for (const item of steps.items(event)) view.show(item);
    else pulled = event;
  }
  if (pulled === undefined) throw failed('the pull ended without an image');
  view.line(`Digest: ${pulled.digest}`);
  return pulled;
}

/** The tag, or the whole name where a digest says more. */
const pullLabel = ({ domain, path, tag, digest }: Reference): string =>
  digest === undefined ? (tag ?? '') : `${domain}/${path}@${digest}`;

/** The line about what a pull has changed. */
export const pullSummary = (changed: boolean, name: string): string =>
  changed ? `Status: Downloaded newer image for ${name}` : `Status: Image is up to date for ${name}`;
