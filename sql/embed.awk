# Writes the SQL scripts given as arguments as one C file of string literals.
BEGIN {
	print "/* Made from sql/migrations by sql/embed.awk. */"
	print "#include \"common/migrations.h\"\n"
	print "const char *const db_migrations[] = {"
}
FNR == 1 && NR > 1 { print "\t," }
{
	if ($0 ~ /^[ \t]*--/ || $0 ~ /^[ \t]*$/)
		next
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/\t/, "\\t")
	print "\t\"" $0 "\\n\""
}
END {
	print "};\n"
	print "const size_t db_migration_count = sizeof(db_migrations) / sizeof(db_migrations[0]);"
}
