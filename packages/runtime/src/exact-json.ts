/** What JSON.parse hands a reviver since ES2025, which the compiler's library doesn't know yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

interface RawJson {
  rawJSON(text: string): unknown;
}

/**
 * JSON.parse that doesn't round: an integer beyond 2⁵³, such as a 64-bit mask or `RLIM_INFINITY`, is a `bigint`.
 *
 * @throws SyntaxError like JSON.parse
 */
export function parseExactJson(text: string): unknown {
  const reviver: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
      ? BigInt(source)
      : value;
  return JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
}

/** JSON.stringify that writes a `bigint` as a plain number: what {@link parseExactJson} reads back. */
export function formatExactJson(value: unknown, { indent }: { readonly indent?: number | undefined } = {}): string {
  const raw = JSON as unknown as RawJson;
  const exact = (_key: string, member: unknown): unknown =>
    typeof member === 'bigint' ? raw.rawJSON(member.toString()) : member;
  return JSON.stringify(value, exact, indent);
}
