// Writes beyond an array, over its own stack.
// ends: trap|contract|program
#include <string.h>
static void smash(volatile char *p) { for (int i = 0; i < 100000; i++) p[i] = (char)0xff; }
int main(void) { char small[8]; smash(small); return small[3] == 0; }
