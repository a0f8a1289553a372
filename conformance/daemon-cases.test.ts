import { playWithDaemon } from './harness/play-area.ts'

playWithDaemon('del', 'host-local', 'result-formats')
