#include "runtime/watch.h"
