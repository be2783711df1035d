// What a driver says: `ok NAME` or `not ok NAME -- WHY`, a line each; every check is bounded in time.
import assert from 'node:assert/strict'

export { assert }

export const [host, port] = [process.argv[2], Number(process.argv[3])]

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export const within = (ms, promise, what = 'an answer') => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export const until = async (condition, what, ms = 10000) => {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await pause(10)
  }
}

export const check = async (name, body) => {
  try {
    await within(30000, body(), 'end')
    console.log(`ok ${name}`)
  } catch (failed) {
    console.log(`not ok ${name} -- ${String(failed?.message ?? failed).replace(/\s+/g, ' ').slice(0, 300)}`)
  }
}

process.on('unhandledRejection', (failed) => console.log(`not ok (no unhandled rejection) -- ${failed}`))
