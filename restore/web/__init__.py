"""The page: photos and films in a browser, by the same library calls as the command line."""
