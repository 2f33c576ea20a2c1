#include "staple/diagnose.h"
