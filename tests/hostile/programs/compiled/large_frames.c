// Recurses with a kilobyte in every frame.
// ends: trap|stack|memory
static int f(int n) { volatile char frame[1024]; frame[n & 1023] = (char)n; return f(n + 1) + frame[n & 1023]; }
int main(void) { return f(0); }
