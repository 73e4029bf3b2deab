import { openWebhooks } from '../src/operation/webhooks.ts';

// Takes events as fast as it can for a receiver that isn't there, until it is killed.
const [url = '', spoolDir = '', count = ''] = process.argv.slice(2);
const webhooks = await openWebhooks([{ url, retryMs: 1000 }], { spoolDir });
for (let number = 0; number < Number(count); number++) {
  webhooks.onEvent({
    type: 'delete',
    object: 'tag',
    name: 'a',
    tag: `v${String(number)}`,
    requestId: 'r',
    atMs: Date.now(),
    account: undefined,
    address: undefined,
    method: 'DELETE',
    host: undefined,
    userAgent: undefined,
  });
  if (number % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
