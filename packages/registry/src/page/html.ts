/** Markup that is safe to send: everything in it that isn't ours is escaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type HtmlValue = string | number | undefined | Html | readonly Html[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** What moves or turns around the text beside it: a name could look like another one. */
const MISLEADING = /[^\P{C}\t\n]|[\u2028\u2029]/gu;

const escapeText = (text: string): string =>
  text.replace(MISLEADING, '\ufffd').replace(/[&<>"'`]/g, (character) => ENTITIES[character] ?? '');

function markup(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeText(String(value));
  return value.map(({ text }) => text).join('');
}

/** A template whose values are escaped, unless they are markup already. Attributes must be quoted. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0] ?? '';
  values.forEach((value, index) => {
    text += markup(value) + (strings[index + 1] ?? '');
  });
  return new Html(text);
}

export const NOTHING: Html = new Html('');
