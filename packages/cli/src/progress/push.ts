import type { PushEvent } from '@tsc/image';

import { failed } from '../errors.ts';
import { pushItem } from './transfer.ts';
import type { ProgressView } from './view.ts';

export type Pushed = Extract<PushEvent, { readonly type: 'pushed' }>;

export interface PushView {
  readonly view: ProgressView;
  readonly tag: string;
  /** The digest of the config, which is no layer and isn't shown. */
  readonly configDigest: string;
}

/** Shows a push to its end, as Docker does. */
export async function followPush(
  events: AsyncIterable<PushEvent>,
  { view, tag, configDigest }: PushView,
): Promise<Pushed> {
  let pushed: Pushed | undefined;
  for await (const event of events) {
    if (event.type === 'pushed') pushed = event;
    else if (event.digest !== configDigest) view.show(pushItem(event));
  }
  if (pushed === undefined) throw failed('the push ended without a manifest');
  const { digest, size } = pushed.descriptor;
  view.line(`${tag}: digest: ${digest} size: ${size}`);
  return pushed;
}
