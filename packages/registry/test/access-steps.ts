import { createHash } from 'node:crypto';

/** The header of a user with a password. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

export const bearer = (token: string): string => `Bearer ${token}`;

export interface Sent {
  readonly method?: string;
  readonly authorization?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

/** Sends one request; redirects are answers. */
export const send = (
  url: string,
  { method = 'GET', authorization, headers = {}, body }: Sent = {},
): Promise<Response> =>
  fetch(url, {
    method,
    redirect: 'manual',
    headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
    ...(body === undefined ? {} : { body }),
  });

export const statusOf = async (...parameters: Parameters<typeof send>): Promise<number> => {
  const answer = await send(...parameters);
  await answer.arrayBuffer();
  return answer.status;
};

/** What a token server gives. */
export interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope: string;
  readonly refresh_token: string;
}

/** Asks a token server by GET. */
export async function getToken(
  url: string,
  authorization: string | undefined,
  ...scopes: readonly string[]
): Promise<TokenAnswer> {
  const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
  const answer = await send(`${url}/token?${query.toString()}`, { authorization });
  if (answer.status !== 200) throw new Error(`${String(answer.status)} ${await answer.text()}`);
  return (await answer.json()) as TokenAnswer;
}

/** What a token says; nothing is verified. */
export const claimsOf = (token: string): Readonly<Record<string, unknown>> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Readonly<Record<string, unknown>>;

/** Pushes an image with nothing in it. */
export async function pushImage(url: string, name: string, authorization: string | undefined): Promise<number> {
  const config = Buffer.from('{}');
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const blob = await send(`${url}/v2/${name}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    authorization,
    headers: { 'Content-Type': 'application/octet-stream' },
    body: config,
  });
  await blob.arrayBuffer();
  if (blob.status !== 201) return blob.status;
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: config.byteLength },
    layers: [],
  };
  return statusOf(`${url}/v2/${name}/manifests/v1`, {
    method: 'PUT',
    authorization,
    headers: { 'Content-Type': mediaType },
    body: JSON.stringify(manifest),
  });
}
