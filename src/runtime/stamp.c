#include "runtime/stamp.h"
