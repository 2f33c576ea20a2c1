#include "runtime/verdict.h"
