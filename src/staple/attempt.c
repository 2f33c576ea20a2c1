#include "staple/attempt.h"
