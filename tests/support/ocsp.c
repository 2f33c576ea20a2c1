#include "tests/support/ocsp.h"
