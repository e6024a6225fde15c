// What the host calls, and what the job asks of the host. The work itself is in `check.ts`, where tests reach it.

import { get } from 'soloist:job/config@0.1.0';
import { log } from 'soloist:job/log@0.1.0';
import type { Context, Failure } from 'soloist:job/types@0.1.0';
import { check } from './check.js';

/** Does the job once. Returns a one-line summary for people, or throws a `Failure`. */
export async function run(context: Context): Promise<string> {
  const url = get('url');
  if (url === undefined) throw final('the setting `url` is missing');
  log('info', `round ${context.round}, attempt ${context.attempt}: asking ${url}`);
  try {
    return await check(url);
  } catch (error) {
    throw retry(error instanceof Error ? error.message : String(error));
  }
}

/** A failure that another attempt can help. */
const retry = (reason: string): Failure => ({ tag: 'retry', val: reason });

/** A failure that no further attempt can help. */
const final = (reason: string): Failure => ({ tag: 'final', val: reason });
