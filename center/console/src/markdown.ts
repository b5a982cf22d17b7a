// The Markdown of guidance pages: headings, paragraphs, lists, bold. Nothing else, and no HTML: what
// is not understood is shown as it was written. Pure.

export interface Run { text: string; bold: boolean }
export type Block =
  | { kind: 'heading'; level: number; runs: Run[] }
  | { kind: 'text'; runs: Run[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Run[][] };

const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const BULLET = /^\s{0,3}[-*+]\s+(.*)$/;
const NUMBER = /^\s{0,3}(\d{1,9})[.)]\s+(.*)$/;

export function runs(text: string): Run[] {
  const found: Run[] = [];
  let at = 0;
  for (const m of text.matchAll(/\*\*(?=\S)(.+?)(?<=\S)\*\*/g)) {
    if (m.index > at) found.push({ text: text.slice(at, m.index), bold: false });
    found.push({ text: m[1] ?? '', bold: true });
    at = m.index + m[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), bold: false });
  return found;
}

export function blocks(markdown: string): Block[] {
  const made: Block[] = [];
  let lines: string[] = [];
  let list = null as { ordered: boolean; start: number; items: string[] } | null;
  const close = (): void => {
    if (lines.length > 0) made.push({ kind: 'text', runs: runs(lines.join(' ')) });
    if (list) made.push({ kind: 'list', ordered: list.ordered, start: list.start, items: list.items.map(runs) });
    lines = [];
    list = null;
  };
  for (const line of markdown.split(/\r?\n/)) {
    const heading = HEADING.exec(line);
    const bullet = BULLET.exec(line);
    const number = NUMBER.exec(line);
    if (line.trim() === '') close();
    else if (heading) {
      close();
      made.push({ kind: 'heading', level: heading[1]?.length ?? 1, runs: runs(heading[2] ?? '') });
    } else if (bullet || number) {
      const ordered = number !== null;
      if (lines.length > 0 || list?.ordered !== ordered) close();
      list ??= { ordered, start: Number(number?.[1] ?? 1), items: [] };
      list.items.push((number?.[2] ?? bullet?.[1] ?? '').trim());
    } else if (list) list.items.push(`${list.items.pop() ?? ''} ${line.trim()}`);
    else lines.push(line.trim());
  }
  close();
  return made;
}
