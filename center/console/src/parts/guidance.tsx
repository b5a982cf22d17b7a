// A guidance page of the site: read once for as long as the plan stands, drawn as text.
import { useEffect, useState } from 'preact/hooks';
import { get, Refused } from '../api';
import { plant } from '../live/plant';
import { subscribe } from '../live/topics';
import { blocks, type Block, type Run } from '../markdown';
import { t } from '../prefs';

type Page = { text: string } | { missing: true } | { failed: string };

const pages = new Map<string, Block[]>();
let of_plan = '';

async function read(name: string): Promise<Page> {
  try {
    return await get<{ text: string }>(`guidance/${encodeURIComponent(name)}`);
  } catch (why) {
    if (why instanceof Refused && why.status === 404) return { missing: true };
    return { failed: why instanceof Error ? why.message : '' };
  }
}

export function GuidanceText({ name }: { name: string }) {
  const [failed, fail] = useState<{ name: string; why: string } | null>(null);
  const [, draw] = useState(0);
  useEffect(() => {
    let gone = false;
    const load = (): void => {
      const plan = plant.site?.plan_rev ?? '';
      if (plan !== of_plan) pages.clear();
      of_plan = plan;
      if (pages.has(name)) return;
      void read(name).then((page) => {
        if ('text' in page) pages.set(name, blocks(page.text));
        if (gone) return;
        fail('text' in page ? null : { name, why: 'missing' in page ? t('guide.missing') : t('guide.unread', { n: page.failed }) });
        draw((n) => n + 1);
      });
    };
    load();
    // After a loss, and with another plan, it is read anew.
    const stop = subscribe('site', load);
    return () => {
      gone = true;
      stop();
    };
  }, [name]);
  const page = pages.get(name);
  return (
    <>
      {page
        ? <div class="guidance" data-guidance={name}>{page.map((b, i) => <One key={i} block={b} />)}</div>
        : <p class={failed?.name === name ? '' : 'dim'}>{failed?.name === name ? failed.why : t('loading')}</p>}
      <p class="dim"><small>{t('guide.named', { n: name })}</small></p>
    </>
  );
}

function One({ block }: { block: Block }) {
  switch (block.kind) {
    case 'heading': return <h5 class={block.level === 1 ? 'title' : ''}><Runs runs={block.runs} /></h5>;
    case 'text': return <p><Runs runs={block.runs} /></p>;
    case 'list': {
      const items = block.items.map((runs, i) => <li key={i}><Runs runs={runs} /></li>);
      return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

function Runs({ runs }: { runs: Run[] }) {
  return <>{runs.map((r, i) => (r.bold ? <b key={i}>{r.text}</b> : r.text))}</>;
}
