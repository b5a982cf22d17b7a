// The symbol of a priority: colour, shape and numeral together. Only the symbol of an
// unacknowledged alarm blinks, by a class of the page that one clock sets.
import type { Mark, Mode } from '../alarm';
import { t } from '../prefs';

/** Diamond, triangle, square, circle, hexagon on a 24 × 24 field, and the numeral's baseline. */
const SHAPES: Record<Mark, { d: string; base: number }> = {
  1: { d: 'M12 .8 23.2 12 12 23.2 .8 12Z', base: 16.6 },
  2: { d: 'M12 1.4 23.4 22.2H.6Z', base: 19.6 },
  3: { d: 'M2 2h20v20H2Z', base: 16.6 },
  4: { d: 'M12 1.1a10.9 10.9 0 1 1 0 21.8a10.9 10.9 0 1 1 0-21.8Z', base: 16.6 },
  L: { d: 'M6.4 2h11.2L23.4 12l-5.8 10H6.4L.6 12Z', base: 16.6 },
};

export function Sym({ mark, mode = 'steady', size = 22 }: { mark: Mark; mode?: Mode; size?: number }) {
  const { d, base } = SHAPES[mark];
  const name = mark === 'L' ? t('mark.L') : `${t('priority.n', { n: mark })} ${t(`mark.${mark}`)}`;
  return (
    <svg class={`sym m${mark} ${mode}`} viewBox="0 0 24 24" role="img" aria-label={name}
      style={{ width: `${size / 16}rem`, height: `${size / 16}rem` }}>
      <path d={d} />
      <text x="12" y={base}>{mark === 'L' ? '?' : mark}</text>
    </svg>
  );
}

/** The page's one blink clock: half a second a phase. `b1` is 1 Hz, `b2` 0.5 Hz. */
export function startBlink(): void {
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  let phase = 0;
  setInterval(() => {
    phase = (phase + 1) % 4;
    const { classList } = document.documentElement;
    classList.toggle('b1', !calm.matches && phase % 2 === 1);
    classList.toggle('b2', !calm.matches && phase >= 2);
  }, 500);
}
