// BullMQ does its work: jobs with results, failures, retries, delays, priorities, flows, rate limits; each is done once.
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq'
import { assert, check, host, pause, port, until, within } from './check.mjs'

// A prefix with a hash tag keeps all keys of a queue on one side. The third argument chooses it.
const prefix = process.argv[4] || 'bull'
const connection = { host, port, maxRetriesPerRequest: null }
const JOBS = 300
const ran = new Map()
const closing = []
const kept = (one) => { one.on?.('error', () => {}); closing.push(one); return one }

const queue = kept(new Queue('compat', { connection, prefix }))
const events = kept(new QueueEvents('compat', { connection, prefix }))
const work = async (job) => {
  ran.set(job.name + job.id, (ran.get(job.name + job.id) ?? 0) + 1)
  if (job.name === 'broken') throw new Error('on purpose')
  if (job.name === 'unsteady' && job.attemptsMade < 2) throw new Error('not yet')
  if (job.name === 'sum') return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0)
  await job.updateProgress(50)
  return job.data.number * job.data.number
}

let workers = []
await check('it starts', async () => {
  await within(10000, Promise.all([queue.waitUntilReady(), events.waitUntilReady()]))
  workers = [1, 2].map(() => kept(new Worker('compat', work, { connection, prefix, concurrency: 5 })))
  await within(10000, Promise.all(workers.map((one) => one.waitUntilReady())))
})
await check('every job once, results right', async () => {
  const jobs = await queue.addBulk(Array.from({ length: JOBS }, (_, number) => ({ name: 'square', data: { number } })))
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 25000)))
  assert.deepEqual(results, Array.from({ length: JOBS }, (_, n) => n * n))
  assert.equal([...ran].filter(([name, count]) => name.startsWith('square') && count === 1).length, JOBS)
})
await check('a failure is a failure', async () => {
  const job = await queue.add('broken', {})
  await assert.rejects(job.waitUntilFinished(events, 10000), /on purpose/)
  assert.ok(await job.isFailed())
})
await check('a retry in the end', async () => {
  const job = await queue.add('unsteady', { number: 3 }, { attempts: 5, backoff: { type: 'fixed', delay: 50 } })
  assert.equal(await job.waitUntilFinished(events, 10000), 9)
})
await check('a delay', async () => {
  const began = Date.now()
  const job = await queue.add('later', { number: 2 }, { delay: 700 })
  assert.equal(await job.waitUntilFinished(events, 10000), 4)
  assert.ok(Date.now() - began >= 690)
})
await check('priorities', async () => {
  await queue.pause()
  await until(async () => (await queue.getActiveCount()) === 0, 'no work')
  const order = []
  const slow = kept(new Worker('ordered', async (job) => { order.push(job.data.priority) }, { connection, prefix, autorun: false }))
  const ordered = kept(new Queue('ordered', { connection, prefix }))
  for (const priority of [5, 1, 3, 2, 4]) await ordered.add('p', { priority }, { priority })
  slow.run()
  await until(() => order.length === 5, 'five jobs')
  assert.deepEqual(order, [1, 2, 3, 4, 5])
  await queue.resume()
})
await check('a flow: a parent waits for its children', async () => {
  const flow = kept(new FlowProducer({ connection, prefix }))
  const tree = await flow.add({ name: 'sum', queueName: 'compat', children: [1, 2, 3].map((number) => ({ name: 'child', queueName: 'compat', data: { number } })) })
  assert.equal(await tree.job.waitUntilFinished(events, 10000), 14)
})
await check('a repeated job', async () => {
  let count = 0
  const repeated = kept(new Queue('repeated', { connection, prefix }))
  kept(new Worker('repeated', async () => { count += 1 }, { connection, prefix }))
  await repeated.upsertJobScheduler('tick', { every: 200, limit: 3 })
  await until(() => count >= 3, 'three runs')
  await pause(500)
  assert.equal(count, 3)
})
await check('a rate limit', async () => {
  const times = []
  const limited = kept(new Queue('limited', { connection, prefix }))
  kept(new Worker('limited', async () => { times.push(Date.now()) }, { connection, prefix, limiter: { max: 2, duration: 300 } }))
  await limited.addBulk(Array.from({ length: 6 }, () => ({ name: 'x', data: {} })))
  await until(() => times.length === 6, 'six jobs')
  assert.ok(times.at(-1) - times[0] >= 550, `${times.at(-1) - times[0]} ms`)
})
await check('the same id is one job', async () => {
  await queue.add('same', { number: 1 }, { jobId: 'one-of-it' })
  const job = await queue.add('same', { number: 1 }, { jobId: 'one-of-it' })
  await job.waitUntilFinished(events, 10000)
  assert.equal(ran.get('sameone-of-it'), 1)
})
await check('counts', async () => {
  await until(async () => { const c = await queue.getJobCounts('wait', 'active', 'delayed'); return c.wait + c.active + c.delayed === 0 }, 'nothing left')
  assert.equal((await queue.getJobCounts('failed')).failed, 1)
})
await check('cleaning', async () => {
  assert.ok((await queue.clean(0, 1000, 'completed')).length >= JOBS)
  await queue.obliterate({ force: true })
})
await check('it closes', () => Promise.all(closing.reverse().map((one) => one.close())))
process.exit(0)
