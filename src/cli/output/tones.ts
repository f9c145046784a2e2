import { Chalk, type ChalkInstance } from 'chalk';
import type { Tone } from './view.js';

export function painter(color: boolean): ChalkInstance {
  return new Chalk({ level: color ? 1 : 0 });
}

export function colorOf(tone: Tone, paint: ChalkInstance): ChalkInstance {
  const colors: Record<Tone, ChalkInstance> = {
    good: paint.green,
    warn: paint.yellow,
    bad: paint.red,
    faint: paint.dim,
  };
  return colors[tone];
}
