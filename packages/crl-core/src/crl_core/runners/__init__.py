"""Environment runners: the loop observation -> action -> next observation that feeds a policy."""
