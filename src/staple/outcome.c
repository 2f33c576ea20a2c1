#include "staple/outcome.h"
