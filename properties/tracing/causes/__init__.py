"""Why a selection does not learn: each module finds causes of one sort, and `order` says which comes first."""
