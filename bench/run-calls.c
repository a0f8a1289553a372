/*
 * Calls a plugin as a runtime does, many times, and says how long each process took. In C, since what is measured takes
 * a few milliseconds: a large program that starts another one takes as long itself.
 *
 *   run-calls PLUGIN CONFIG LOG AT_ONCE <lines of: VERB CONTAINER NETNS
 *
 * Prints for each that has ended: when it began and ended (CLOCK_MONOTONIC) and its processor time, in microseconds, and its
 * exit status. Where several run at once, all of it at the end: whoever reads it takes a CPU. What the plugins print is
 * appended to LOG.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_AT_ONCE 256
#define OUTPUT_BYTES (1 << 20)

static struct {
	pid_t pid;
	long long began;
} running[MAX_AT_ONCE];

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void start(const char *plugin, const char *config, int log)
{
	int slot = 0;
	pid_t pid;

	while (running[slot].pid)
		slot++;
	running[slot].began = now_us();
	pid = vfork();
	if (pid == 0) {
		int input = open(config, O_RDONLY);

		dup2(input, 0);
		dup2(log, 1);
		dup2(log, 2);
		execl(plugin, plugin, (char *)NULL);
		_exit(127);
	}
	running[slot].pid = pid;
}

static void await_one(void)
{
	struct rusage usage;
	int status;
	pid_t pid = wait4(-1, &status, 0, &usage);
	long long ended = now_us();

	for (int slot = 0; slot < MAX_AT_ONCE; slot++) {
		if (running[slot].pid != pid)
			continue;
		running[slot].pid = 0;
		printf("%lld %lld %lld %d\n", running[slot].began, ended,
		       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
			       usage.ru_stime.tv_usec,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128);
	}
}

int main(int argc, char **argv)
{
	char line[1024], verb[16], container[256], netns[512];
	int at_once, log, count = 0;

	if (argc != 5)
		return 2;
	at_once = atoi(argv[4]);
	log = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || at_once < 1 || at_once > MAX_AT_ONCE)
		return 2;
	setvbuf(stdin, NULL, _IOLBF, 0);
	setvbuf(stdout, NULL, at_once == 1 ? _IOLBF : _IOFBF, OUTPUT_BYTES);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%15s %255s %511s", verb, container, netns) != 3)
			return 2;
		setenv("CNI_COMMAND", verb, 1);
		setenv("CNI_CONTAINERID", container, 1);
		setenv("CNI_NETNS", netns, 1);
		if (count == at_once) {
			await_one();
			count--;
		}
		start(argv[1], argv[2], log);
		count++;
		if (at_once == 1) { /* who takes turns with others waits for the answer */
			await_one();
			count--;
		}
	}
	for (; count > 0; count--)
		await_one();
	return 0;
}
