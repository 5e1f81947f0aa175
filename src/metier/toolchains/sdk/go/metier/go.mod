module metier

go 1.21
