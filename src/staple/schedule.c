#include "staple/schedule.h"
