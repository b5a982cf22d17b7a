import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { NotProtecting } from './api';
import { headline, line, uncovered, whole, type Said } from './sentence';
import { WORDS } from './words';

// The texts stand here as the engine writes them (`rules/src/ruleset/words.rs`).
const HAN = /\p{Script=Han}/u;
const said = (over: Partial<Said>): Said => ({
  owner: 'gw-tank', alarm: `r/${over.tag ?? 'LT-101B'}/${over.level ?? 'hh'}`, rule: 'r', kind: 'level', tag: 'LT-101B', level: 'hh',
  description: 'T-101（苯）液位 B', text: '', ...over,
});

function check(over: Partial<Said>, zh: string, en: string, enWhole: string): void {
  const a = said(over);
  assert.equal(line('zh', a), zh);
  assert.equal(line('en', a), en);
  assert.equal(whole('en', a), enWhole);
  assert.equal(whole('zh', a), a.text);
  // Beside the site's own description an English reader meets no Chinese.
  for (const s of [headline('en', a), line('en', a), whole('en', a)]) assert.doesNotMatch(s.replace(a.description, ''), HAN);
}

test('every phrase of the engine has its cell', () => {
  const source = readFileSync('../../rules/src/ruleset/words.rs', 'utf8').split('#[cfg(test)]')[0] ?? '';
  const plain = (phrase: string): string => phrase.replace(/\{\w*\}/g, '{}').replace('{} {}', '{}');
  const known = new Set(Object.values(WORDS).map(([zh]) => plain(zh)));
  const phrases = [...source.replace(/\/\/.*$/gm, '').matchAll(/"([^"]*)"/g)].map((m) => m[1] ?? '').filter((s) => HAN.test(s));
  assert.ok(phrases.length > 15);
  for (const phrase of phrases) assert.ok(known.has(plain(phrase.replace(/^\{head\} /, ''))), `no words for ${phrase}`);
});

test('a limit names its level; its value stays where the page shows no live one', () => {
  check({ text: 'LT-101B T-101（苯）液位 B 12.31 m ≥ 高高限 12.20 m' }, 'LT-101B T-101（苯）液位 B 高高报', 'LT-101B T-101（苯）液位 B high-high', 'LT-101B T-101（苯）液位 B 12.31 m ≥ high-high limit 12.20 m');
  check({ level: 'l', text: 'LT-101B T-101（苯）液位 B 1.31 m ≤ 低限 2.00 m' }, 'LT-101B T-101（苯）液位 B 低报', 'LT-101B T-101（苯）液位 B low', 'LT-101B T-101（苯）液位 B 1.31 m ≤ low limit 2.00 m');
  check({ level: 'h', description: '', text: 'LT-101B 无数据（高限 2.00 m）' }, 'LT-101B 高报', 'LT-101B high', 'LT-101B no data (high limit 2.00 m)');
  check({ text: 'LT-101B T-101（苯）液位 B 12.10 m（高高限 12.20 m）' }, 'LT-101B T-101（苯）液位 B 高高报', 'LT-101B T-101（苯）液位 B high-high', 'LT-101B T-101（苯）液位 B 12.10 m (high-high limit 12.20 m)');
});

test('every other kind has its words', () => {
  check({ kind: 'stuck', level: 'on', text: 'LT-101B T-101（苯）液位 B 卡滞，停在 10.88 m' }, 'LT-101B T-101（苯）液位 B 卡滞', 'LT-101B T-101（苯）液位 B is stuck', 'LT-101B T-101（苯）液位 B is stuck, stands at 10.88 m');
  check({ kind: 'stuck', level: 'on', text: 'LT-101B T-101（苯）液位 B 疑似卡滞，停在 10.88 m' }, 'LT-101B T-101（苯）液位 B 疑似卡滞', 'LT-101B T-101（苯）液位 B may be stuck', 'LT-101B T-101（苯）液位 B may be stuck, stands at 10.88 m');
  check({ kind: 'stuck', level: 'on', text: 'LT-101B T-101（苯）液位 B 卡滞见证不再成立，未见测量值变动，停在 10.88 m' }, 'LT-101B T-101（苯）液位 B 曾卡滞，未见变动', 'LT-101B T-101（苯）液位 B was stuck, not seen to move', 'LT-101B T-101（苯）液位 B was stuck and has not been seen to move, stands at 10.88 m');
  check({ kind: 'stale', level: 'stale', text: 'LT-101B T-101（苯）液位 B 数据中断' }, 'LT-101B T-101（苯）液位 B 数据中断', 'LT-101B T-101（苯）液位 B sends no data', 'LT-101B T-101（苯）液位 B sends no data');
  check({ kind: 'quality', level: 'bad', text: 'LT-101B T-101（苯）液位 B 数据质量坏' }, 'LT-101B T-101（苯）液位 B 数据质量坏', 'LT-101B T-101（苯）液位 B has bad quality', 'LT-101B T-101（苯）液位 B has bad quality');
  const source = { rule: 'source', kind: 'source', tag: 'plc-nh3', level: 'loss_of_view', description: '' } as const;
  check({ ...source, text: '数据源 plc-nh3 通信中断' }, '数据源 plc-nh3 通信中断', 'source plc-nh3: communication lost', 'source plc-nh3: communication lost');
  check({ ...source, text: '数据源 plc-nh3 时钟不可信' }, '数据源 plc-nh3 时钟不可信', 'source plc-nh3: clock not trusted', 'source plc-nh3: clock not trusted');
});

test('what a rule derives is named in both languages', () => {
  check({ kind: 'deviation', level: 'h', text: 'LT-101B T-101（苯）液位 B 偏差 5.00 m ≥ 高限 5.00 m' }, 'LT-101B T-101（苯）液位 B 偏差 5.00 m ≥ 高限 5.00 m', 'LT-101B T-101（苯）液位 B deviation from set point: high', 'LT-101B T-101（苯）液位 B deviation from set point: high');
  check({ kind: 'discrepancy', level: 'on', text: 'LT-101B T-101（苯）液位 B 反馈与指令不符' }, 'LT-101B T-101（苯）液位 B 反馈与指令不符', 'LT-101B T-101（苯）液位 B does not follow its command', 'LT-101B T-101（苯）液位 B does not follow its command');
  check({ kind: 'bypass', level: 'on', text: 'LT-101B T-101（苯）液位 B 旁路测试' }, 'LT-101B T-101（苯）液位 B 旁路测试', 'LT-101B T-101（苯）液位 B bypassed for a test', 'LT-101B T-101（苯）液位 B bypassed for a test');
  check({ kind: 'first_out', level: 'on', rule: 'trip', tag: 'K101', description: '', text: '联锁组 K101：首出 t/TT-9/h' }, '联锁组 K101：首出 t/TT-9/h', 'trip group K101', 'trip group K101');
});

test('parts of the system and silent gateways are named in both languages', () => {
  const check2 = (over: Partial<Said>, zh: string, en: string): void => {
    assert.equal(line('zh', said(over)), zh);
    assert.equal(line('en', said(over)), en);
  };
  const part = { rule: 'system', kind: 'system', level: 'on', tag: 'journal', description: '' } as const;
  check2({ ...part, alarm: 'system/journal/on', text: '报警日志 故障' }, '报警日志 故障', 'alarm journal has failed');
  check2({ ...part, alarm: 'system/plan/gw-1/on', owner: 'center', text: '网关 gw-1 与中心配置不一致' }, '网关 gw-1 与中心配置不一致', 'gateway gw-1 runs another plan than the centre');
  check2({ rule: 'gateway', kind: 'stale', level: 'stale', owner: 'center', tag: 'gw-1', description: '', text: 'gw-1 罐区网关 数据中断' }, 'gw-1 无心跳', 'gw-1 no beat');
});

test('a sentence that a rule brings along is never rewritten', () => {
  const own = said({ text: '预计 15 min 内到溢流口' });
  assert.equal(headline('zh', own), '预计 15 min 内到溢流口');
  assert.equal(line('zh', own), 'LT-101B 预计 15 min 内到溢流口');
  assert.equal(line('en', own), 'LT-101B 预计 15 min 内到溢流口 (high-high)');
  // Words that only resemble the engine's are the rule's own too.
  assert.equal(headline('zh', said({ text: 'LT-101B 高高，停泵' })), 'LT-101B 高高，停泵');
});

test('what does not protect is said in the language of the page', () => {
  const item = (over: Partial<NotProtecting>): NotProtecting => ({
    kind: 'bad', tag: '', alarm: '', hazard: 'TF', area: '', gateway: 'gw-1', since: null, until: null, text: '', owner: '', ...over,
  });
  const en = (over: Partial<NotProtecting>, alarm?: Said): string => uncovered('en', item(over), alarm);
  assert.equal(en({ kind: 'gateway', text: '网关 gw-1 无信号：其测点在此不可见' }), 'gateway gw-1 has no beat: its points cannot be seen here');
  assert.equal(en({ kind: 'stuck', tag: 'LT-1', alarm: 'r/LT-1/on', text: 'LT-1 卡滞，停在 1 m' }), 'LT-1 Stuck');
  assert.equal(en({ kind: 'stuck' }, said({ kind: 'stuck', level: 'on', description: '', text: 'LT-101B 卡滞，停在 1 m' })), 'LT-101B is stuck');
  assert.equal(en({ kind: 'journal', text: 'gw-1 有未落盘的报警记录' }), 'Journal: gw-1');
  assert.equal(en({ kind: 'commissioning', tag: 'AT-1', text: '氨 1' }), 'AT-1 氨 1 Commissioning');
  assert.equal(uncovered('zh', item({ kind: 'commissioning', tag: 'AT-1', text: '氨 1' }), undefined), 'AT-1 氨 1 调试中');
  assert.equal(uncovered('zh', item({ kind: 'journal', text: 'gw-1 有未落盘的报警记录' }), undefined), 'gw-1 有未落盘的报警记录');
});
