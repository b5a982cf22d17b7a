// The console: a client of the centre's public API and nothing more. It keeps no truth, puts its
// state in the address, and disables with a reason instead of hiding.
// Read first: `api.ts` (what the centre says), `live/link.ts` (when it may be believed),
// `alarm.ts` (what an alarm is to the eye).
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { connect } from './live/stream';
import { link, plant, summarised } from './live/plant';
import { useTopics } from './live/topics';
import { Alarms } from './pages/alarms';
import { Overview } from './pages/overview';
import { PointPage } from './pages/point';
import { Shell } from './parts/shell';
import { startBlink } from './parts/symbol';
import { t } from './prefs';
import { here } from './router';
import { startSound } from './sound';
import './style.css';

function Console() {
  useTopics('route', 'prefs');
  const { page } = here();
  return (
    <Shell page={page}>
      <Title />
      {page === 'alarms' ? <Alarms /> : page === 'point' ? <PointPage /> : <Overview />}
    </Shell>
  );
}

/** The tab's title says what a person in another tab must know. */
function Title() {
  useTopics('alarms', 'link', 'route', 'prefs', 'site');
  useEffect(() => {
    let unacked = 0;
    for (const c of summarised().banner.values()) unacked += c.unacked;
    const lost = link.view(performance.now()).phase === 'lost';
    const state = lost ? `⬡ ${t('link.bar')}` : unacked > 0 ? `(${unacked})` : '';
    document.title = [state, t(`page.${here().page}`), plant.site?.name ?? t('product')].filter(Boolean).join(' · ');
  });
  return null;
}

const app = document.getElementById('app');
if (app) {
  render(<Console />, app);
  startBlink();
  startSound();
  connect();
  // Keeps the page itself, so that a reload while the centre is dead can say so. Data are never kept.
  if ('serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(() => undefined);
}
