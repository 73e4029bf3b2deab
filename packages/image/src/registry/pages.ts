import { ImageError } from '../errors.ts';
import type { Need } from './authorizer.ts';
import { answerFailure, type Answer } from './failure.ts';
import { locationUrl, type Server } from './server.ts';

export interface PageRequest {
  readonly target: string;
  readonly need: Need;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** `cannot list the tags of …` */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/** A page of tags may be all tags of a repository. */
export const PAGE_MAX_BYTES: number = 32 * 1024 ** 2;

/**
 * The next page by the `Link` header, which may lead to the same origin only.
 *
 * @throws {@link ImageError} `REGISTRY_FAILED`
 * @see https://www.rfc-editor.org/rfc/rfc8288
 */
export const nextPage = (answer: Pick<Answer, 'headers' | 'url'>): URL | undefined => {
  const links = [answer.headers['link'] ?? []]
    .flat()
    .join(',')
    .slice(0, 16 * 1024);
  for (const [, target = '', parameters = ''] of links.matchAll(/<([^<>]*)>([^<>]*)/g)) {
    if (!/;\s*rel\s*=\s*"?(?:[^"]*\s)?next[\s";,]*/i.test(parameters)) continue;
    const url = locationUrl(target, answer.url);
    if (url.origin === answer.url.origin) return url;
    throw new ImageError('REGISTRY_FAILED', `cannot list further: ${answer.url.host} leads to ${url.host}`, {
      path: answer.url.host,
    });
  }
  return undefined;
};

/** The pages of a list, as far as they are asked for. A page that comes a second time is the registry's mistake. */
export async function* pages(
  server: Server,
  request: PageRequest,
): AsyncGenerator<{ readonly answer: Answer; readonly bytes: Buffer }, void, void> {
  const seen = new Set<string>();
  const { what, signal } = request;
  for (let target: string | URL | undefined = request.target; target !== undefined;) {
    const { answer, bytes } = await server.fetch({ ...request, method: 'GET', target }, PAGE_MAX_BYTES);
    if (answer.status !== 200) throw await answerFailure(what, answer, signal);
    yield { answer, bytes };
    target = nextPage(answer);
    if (target !== undefined && seen.has(target.href))
      throw new ImageError('REGISTRY_FAILED', `${what}: ${target.host} leads around in a circle`, {
        path: target.host,
      });
    if (target !== undefined) seen.add(target.href);
  }
}
