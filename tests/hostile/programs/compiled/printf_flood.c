// Prints without end.
// ends: output
#include <stdio.h>
int main(void) { for (;;) printf("%1000d\n", 1); }
