// What TCP takes: one byte there and one back, or a new connection. A program of bench/datapath.ts and bench/hostport.ts,
// compiled when they run; in JavaScript the event loop would take longer than the way through the kernel that is measured.
//
//   round-trip serve PORT                     echoes to one caller after the other, until it is ended
//   round-trip ask ADDRESS PORT COUNT         prints the times of COUNT round trips in nanoseconds: median, 99th percentile
//   round-trip connect ADDRESS PORT COUNT     of COUNT connections, each from its SYN to the answer

#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void no_delay(int fd) {
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) die("TCP_NODELAY");
}

static void serve(const char *port) {
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
  int on = 1, listener = socket(AF_INET6, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 16) < 0) die("listen");
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    no_delay(fd);
    char byte;
    while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1) continue;
    close(fd);
  }
}

static int compare(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return (x > y) - (x < y);
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static struct addrinfo *find(const char *address, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
  if (getaddrinfo(address, port, &hints, &found) != 0) die("address");
  return found;
}

static int open_socket(const struct addrinfo *to) {
  int fd = socket(to->ai_family, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  return fd;
}

static long long round_trip(int fd) {
  char byte = 0;
  long long start = now();
  if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) die("round trip");
  return now() - start;
}

static long long connection(const struct addrinfo *to) {
  // A reset leaves no TIME_WAIT behind, so that ports do not run out.
  struct linger reset = {.l_onoff = 1};
  int fd = open_socket(to);
  long long start = now();
  if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) die("connect");
  long long time = now() - start;
  round_trip(fd); // the server has it: its queue never fills
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  return time;
}

static void print_times(const struct addrinfo *to, int count, int is_connection) {
  long long *times = calloc(count < 1 ? 1 : count, sizeof *times);
  if (times == NULL) die("memory");
  int fd = open_socket(to);
  if (!is_connection && connect(fd, to->ai_addr, to->ai_addrlen) < 0) die("connect");
  no_delay(fd);
  for (int i = -count / 10; i < count; i++) { // the first ones warm up
    long long time = is_connection ? connection(to) : round_trip(fd);
    if (i >= 0) times[i] = time;
  }
  qsort(times, count, sizeof *times, compare);
  printf("%lld %lld\n", times[count / 2], times[count * 99LL / 100]);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
  else if (argc == 5 && strcmp(argv[1], "ask") == 0) print_times(find(argv[2], argv[3]), atoi(argv[4]), 0);
  else if (argc == 5 && strcmp(argv[1], "connect") == 0) print_times(find(argv[2], argv[3]), atoi(argv[4]), 1);
  else return 2;
  return 0;
}
