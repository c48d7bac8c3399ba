// A year of a product's users, as bitmapist marks them: who was there in each hour, day, week and month. Made from a seed.
//
// Ids are given out as people sign up, so that most of those below the highest are of accounts that nobody uses any more.
// Who signs up has a habit: some come each working day, most seldom. Each day some stay away for good, and the fewer the
// longer they have stayed: of all who come, fewer and fewer are left, by a power of their age.

import { Random } from "./random.mjs";

const idsBefore = 9_400_000;
const signUpsPerDay = 1_500;
const usersBefore = 25_000;
const ageDaysMax = 2_000;
/** The part of the users of an age in days that leaves for good: this divided by the age. */
const leaving = 0.35;
const weekend = 0.4;
const hoursOfVisitMax = 3;
/** How many visits begin in each hour of the day, in some unit. */
const hoursOfDay = [1, 1, 1, 1, 2, 4, 8, 14, 22, 26, 25, 22, 19, 22, 24, 22, 19, 16, 13, 11, 9, 7, 4, 2];
const event = "active";
const dayMs = 86_400_000;
const firstDay = Date.UTC(2025, 0, 1);

/** @typedef {{ id: number, signUpDay: number, habit: number }} User */

/**
 * The bits that are new to their keys, in the order of time.
 * @param {number} seed
 * @param {number} days
 * @returns {Generator<[key: string, id: number]>}
 */
export function* markedBits(seed, days) {
  const random = new Random(seed);
  const starts = hoursOfDay.flatMap((weight, hour) => Array.from({ length: weight }, () => hour));
  let users = usersAtStart(random);
  let id = idsBefore;
  /** Keys of more than a day, with who is in them. */
  const spans = { week: new Span(), month: new Span() };
  for (let day = 0; day < days; day++) {
    const date = new Date(firstDay + day * dayMs);
    const keys = keysOf(date);
    const ofDay = date.getUTCDay() === 0 || date.getUTCDay() === 6 ? weekend : 1;
    users = users.filter(({ signUpDay }) => !random.chance(leaving / (1 + day - signUpDay)));
    const hours = Array.from({ length: hoursOfDay.length }, () => /** @type {number[]} */ ([]));
    /** @param {User} user */
    const visit = (user) => {
      const start = random.pick(starts);
      const end = Math.min(start + 1 + random.below(hoursOfVisitMax), hours.length);
      for (let hour = start; hour < end; hour++) hours[hour]?.push(user.id);
    };
    for (const user of users) if (random.chance(user.habit * ofDay)) visit(user);
    for (let signUps = Math.round(signUpsPerDay * ofDay); signUps > 0; signUps--) {
      const user = { id: id++, signUpDay: day, habit: habit(random) };
      users.push(user);
      visit(user);
    }
    const today = new Set();
    for (const [hour, ids] of hours.entries()) {
      for (const id of ids) {
        yield [`${keys.day}-${hour}`, id];
        if (today.has(id)) continue;
        today.add(id);
        yield [keys.day, id];
        if (spans.week.isNew(keys.week, id)) yield [keys.week, id];
        if (spans.month.isNew(keys.month, id)) yield [keys.month, id];
      }
    }
  }
}

/** Who was seen in a week or a month that goes on. */
class Span {
  #key = "";
  #seen = new Set();

  /**
   * @param {string} key
   * @param {number} id
   */
  isNew(key, id) {
    if (key !== this.#key) {
      this.#key = key;
      this.#seen = new Set();
    }
    const { size } = this.#seen;
    return this.#seen.add(id).size > size;
  }
}

/** @param {Random} random */
function usersAtStart(random) {
  const byId = new Map();
  while (byId.size < usersBefore) {
    // Who is still there after so long: the newest most.
    const age = Math.floor(ageDaysMax * random.part() ** (1 / (1 - leaving)));
    const id = Math.floor(idsBefore * (1 - age / ageDaysMax) * (1 - random.part() / ageDaysMax));
    byId.set(id, { id, signUpDay: -1 - age, habit: habit(random) });
  }
  return [...byId.values()];
}

/**
 * The chance that somebody comes on a working day.
 * @param {Random} random
 */
function habit(random) {
  return random.part() ** 2;
}

/**
 * As bitmapist names them: without zeros in front, weeks by ISO 8601.
 * @param {Date} date
 */
function keysOf(date) {
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth() + 1;
  const thursday = new Date(date.getTime() + (3 - ((date.getUTCDay() + 6) % 7)) * dayMs);
  const weekYear = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(weekYear, 0, 1)) / (7 * dayMs));
  return {
    month: `trackist_${event}_${year}-${month}`,
    week: `trackist_${event}_W${weekYear}-${week}`,
    day: `trackist_${event}_${year}-${month}-${date.getUTCDate()}`,
  };
}
