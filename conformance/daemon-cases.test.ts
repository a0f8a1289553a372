import { playWithDaemon } from './harness/play-area.ts'

playWithDaemon('del')
